//! Handover of an HTTP/1.1 connection between its two owners: the fast path, which answers plain
//! requests with stored responses, and hyper, which handles every other request.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, ready};

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite};

use super::driver::{Driver, Progress};
use super::hyper_connection::HyperConnection;
use crate::server::activity::{Activity, SocketActivity};
use crate::server::drive::ServedConnection;
use crate::server::inbound::Inbound;
use crate::server::outbound::Liveness;
use crate::server::service::Service;

/// Hits in a row that hyper answered, after which the fast path takes the connection back. Each
/// handover to hyper costs a new hyper connection.
const HITS_BEFORE_RETURN: u32 = 8;

/// Connection, its current owner, and the parts from which another owner is made.
pub(super) struct Http1<'a, I, S: Service, C, O> {
    pub(super) owner: Owner<'a, I, S, C>,
    /// Builds a hyper connection on the stream.
    pub(super) open: O,
    pub(super) peer: SocketAddr,
    pub(super) service: &'a Arc<S>,
    pub(super) activity: &'a Activity,
    pub(super) handed_over: &'a HandedOver<S::Begun>,
}

/// Current owner of the connection.
pub(super) enum Owner<'a, I, S: Service, C> {
    Fast(Driver<'a, I, S>),
    Hyper {
        /// Boxed: most of the time there is none.
        connection: Box<C>,
        /// Whether the fast path handed over a plain request. A client that sends other requests
        /// keeps doing so, and stays with hyper until it is idle for a second.
        plain: bool,
    },
    /// No owner, during a handover.
    HandingOver,
}

/// State of the handovers between the fast path and hyper.
pub(super) struct HandedOver<B> {
    /// The next request that hyper will read, if the fast path has begun it.
    pub(super) begun: Mutex<Option<B>>,
    /// Hits in a row since the last handover.
    hits: AtomicU32,
}

impl<B> HandedOver<B> {
    /// Returns the state of a connection that was not handed over yet.
    pub(super) fn new() -> Self {
        Self { begun: Mutex::new(None), hits: AtomicU32::new(0) }
    }

    /// Counts a response of hyper.
    pub(super) fn count(&self, is_hit: bool) {
        let hits = if is_hit { self.hits.load(Ordering::Relaxed) + 1 } else { 0 };
        self.hits.store(hits, Ordering::Relaxed);
    }
}

impl<I, S: Service, C: HyperConnection<I>> Owner<'_, I, S, C> {
    /// Returns the socket; `None` during a handover.
    pub(super) fn into_socket(self) -> Option<Inbound<I>> {
        match self {
            Owner::Fast(driver) => Some(driver.io),
            Owner::Hyper { connection, .. } => Some(connection.into_stream().0),
            Owner::HandingOver => None,
        }
    }
}

impl<I, S, C, O> Http1<'_, I, S, C, O>
where
    I: AsyncRead + AsyncWrite + Liveness + Unpin,
    S: Service,
    C: HyperConnection<I>,
    O: Fn(Inbound<I>) -> C,
{
    /// Hands the connection over from the fast path to hyper, or back.
    fn hand_over(&mut self, begun: Option<S::Begun>) {
        self.owner = match std::mem::replace(&mut self.owner, Owner::HandingOver) {
            Owner::Fast(driver) => {
                let (connection, plain) = (Box::new((self.open)(driver.io)), begun.is_some());
                *self.handed_over.begun.lock() = begun;
                self.handed_over.count(false);
                Owner::Hyper { connection, plain }
            }
            Owner::Hyper { connection, .. } => {
                let (mut stream, unread) = connection.into_stream();
                stream.read_by_hyper(false);
                stream.unread(unread);
                Owner::Fast(Driver::new(stream, self.peer, self.service, self.activity))
            }
            Owner::HandingOver => Owner::HandingOver,
        };
    }

    /// Returns whether the fast path will probably answer the next request, judged by the last
    /// ones.
    fn is_used_to_hits(&self) -> bool {
        self.handed_over.hits.load(Ordering::Relaxed) >= HITS_BEFORE_RETURN
    }

    /// Returns whether hyper is between two requests and has left nothing unread. The unread rest
    /// of a body would be taken for a request.
    fn may_return(&self) -> bool {
        self.activity.is_between_requests() && !self.activity.is_draining()
    }
}

impl<I, S, C, O> ServedConnection for Http1<'_, I, S, C, O>
where
    I: AsyncRead + AsyncWrite + Liveness + Unpin,
    S: Service,
    C: HyperConnection<I>,
    O: Fn(Inbound<I>) -> C,
{
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<hyper::Result<()>> {
        loop {
            let begun = match &mut self.owner {
                Owner::Fast(driver) => match ready!(driver.poll(context)) {
                    Ok(Progress::Other(begun)) => begun,
                    Ok(Progress::Closed) => return Poll::Ready(Ok(())),
                    Err(error) => {
                        // The same line as that of `serve` for a failed hyper connection.
                        tracing::debug!(
                            target: "ikgate::server::http1",
                            %error,
                            peer = %self.peer,
                            "connection failed, closing it"
                        );
                        return Poll::Ready(Ok(()));
                    }
                },
                Owner::Hyper { connection, plain } => {
                    let plain = *plain;
                    if let Poll::Ready(ended) = connection.poll(context) {
                        return Poll::Ready(ended);
                    }
                    if !plain || !self.is_used_to_hits() || !self.may_return() {
                        return Poll::Pending;
                    }
                    None
                }
                Owner::HandingOver => return Poll::Ready(Ok(())),
            };
            self.hand_over(begun);
        }
    }

    fn start_draining(&mut self) -> bool {
        self.activity.start_draining();
        false
    }

    fn close(&mut self) {
        match &mut self.owner {
            Owner::Fast(driver) => driver.close(),
            Owner::Hyper { connection, .. } => connection.close(),
            Owner::HandingOver => {}
        }
    }

    fn socket(&self) -> &SocketActivity {
        self.activity.socket()
    }

    fn holds_buffers(&self) -> bool {
        matches!(self.owner, Owner::Hyper { .. })
            && self.service.has_fast_path()
            && self.may_return()
    }

    fn free_buffers(&mut self) {
        self.hand_over(None);
    }
}
