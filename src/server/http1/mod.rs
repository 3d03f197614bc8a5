//! HTTP/1.1 on one connection. The fast path ([`Driver`]) and hyper serve it in turns; hyper
//! handles every request that the fast path does not.

mod driver;
mod hyper_connection;
mod refusal;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, ready};

use http::header::CONNECTION;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};

use driver::{Driver, Progress};
use hyper_connection::HyperConnection;

use super::activity::{Activity, SocketActivity};
use super::drain::Drain;
use super::drive::{End, ServedConnection, drive};
use super::event::Deadline;
use super::inbound::Inbound;
use super::outbound::Liveness;
use super::response_future::{OnResponse, ResponseFuture};
use super::service::{Service, ServiceResponse, Unreadable};
use super::settings::ServerSettings;
use crate::error_chain::chain;

/// Smallest buffer that hyper accepts, in bytes.
const HYPER_BUFFER_MIN: usize = 8 * 1024;

/// Hits in a row that hyper answered, after which the fast path takes the connection back. Each
/// handover to hyper costs a new hyper connection.
const HITS_BEFORE_RETURN: u32 = 8;

pub(super) async fn serve<I, S>(
    stream: Inbound<I>,
    peer: SocketAddr,
    service: &Arc<S>,
    settings: &ServerSettings,
    drain: &Drain,
) where
    I: AsyncRead + AsyncWrite + Liveness + Unpin,
    S: Service,
{
    let activity = Arc::new(Activity::new(stream.activity(), drain.announcement()));
    let handed_over = HandedOver { begun: Mutex::new(None), hits: AtomicU32::new(0) };
    let answer = |request: Request<Incoming>| {
        activity.request_received();
        if !request.body().is_end_stream() {
            activity.has_body();
        }
        let is_get = *request.method() == Method::GET;
        let answering = service.call(request, peer, handed_over.begun.lock().take());
        handed_over.count(is_get && is_hit(&answering));
        if let ServiceResponse::Pending(_) = answering {
            activity.response_pending();
        }
        ResponseFuture::new(answering, Arc::clone(&activity))
    };
    let open = |mut stream: Inbound<I>| {
        stream.read_by_hyper(true);
        http1::Builder::new()
            // If set, hyper delays a response while more input is buffered, even a stray CRLF.
            .pipeline_flush(false)
            // A client may close its sending side once it has sent its request (RFC 9112 section
            // 9.6). `Liveness` notices a client that has reset its connection.
            .half_close(true)
            // hyper's timeout would close idle connections too.
            .header_read_timeout(None)
            .max_buf_size(settings.max_head_bytes.max(HYPER_BUFFER_MIN))
            .serve_connection(TokioIo::new(stream), service_fn(answer))
    };
    let owner = if service.has_fast_path() {
        Owner::Fast(Driver::new(stream, peer, service, &activity))
    } else {
        Owner::Hyper { connection: Box::new(open(stream)), plain: false }
    };
    let handed_over = &handed_over;
    let mut served = Http1 { owner, open, peer, service, activity: &activity, handed_over };
    let refused = match drive(&mut served, settings, drain, || activity.phase()).await {
        End::Closed(Err(error)) => {
            tracing::debug!(error = chain(&error), %peer, "connection failed, closing it");
            match error {
                error if error.is_parse_too_large() => Unreadable::TooLong,
                error if error.is_parse() => Unreadable::Malformed,
                _ => return,
            }
        }
        End::Due(Deadline::Header) => Unreadable::TimedOut,
        End::Closed(Ok(())) => {
            // hyper does not close the socket if the client asked for an upgrade.
            let Some(mut socket) = served.owner.into_socket() else { return };
            return not_for_long(socket.shutdown(), settings, drain).await;
        }
        End::Cut | End::Due(_) => return,
    };
    let Some(socket) = served.owner.into_socket() else { return };
    let response = service.refuse(peer, refused, handed_over.begun.lock().take());
    // A client whose head cannot be read may not read the response either.
    not_for_long(refusal::write(socket, refused, response), settings, drain).await;
}

/// Awaits the last step of a connection, for `linger` at most.
async fn not_for_long(
    last: impl Future<Output = io::Result<()>>,
    settings: &ServerSettings,
    drain: &Drain,
) {
    let (_, cut) = drain.signals();
    tokio::select! {
        _ = tokio::time::timeout(settings.linger, last) => {}
        () = cut.given() => {}
    }
}

/// Returns whether the fast path could have given this response. It leaves refusals to hyper.
fn is_hit<B>(answering: &ServiceResponse<B>) -> bool {
    let ServiceResponse::Ready(response) = answering else { return false };
    response.status().is_success() || response.status() == StatusCode::NOT_MODIFIED
}

/// State of the handovers between the fast path and hyper.
struct HandedOver<B> {
    /// The next request that hyper will read, if the fast path has begun it.
    begun: Mutex<Option<B>>,
    /// Hits in a row since the last handover.
    hits: AtomicU32,
}

impl<B> HandedOver<B> {
    fn count(&self, is_hit: bool) {
        let hits = if is_hit { self.hits.load(Ordering::Relaxed) + 1 } else { 0 };
        self.hits.store(hits, Ordering::Relaxed);
    }
}

impl<B> OnResponse<B> for Arc<Activity> {
    type Body = B;

    fn on_response(&mut self, mut response: Response<B>) -> Response<B> {
        Activity::response_ready(self);
        if self.is_draining() {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

struct Http1<'a, I, S: Service, C, O> {
    owner: Owner<'a, I, S, C>,
    /// Builds a hyper connection on the stream.
    open: O,
    peer: SocketAddr,
    service: &'a Arc<S>,
    activity: &'a Activity,
    handed_over: &'a HandedOver<S::Begun>,
}

/// Current owner of the connection.
enum Owner<'a, I, S: Service, C> {
    Fast(Driver<'a, I, S>),
    Hyper {
        /// Boxed: most of the time there is none.
        connection: Box<C>,
        /// Whether the fast path handed over a plain request. A client that sends other requests
        /// keeps doing so, and stays with hyper.
        plain: bool,
    },
    /// No owner, during a handover.
    HandingOver,
}

impl<I, S: Service, C: HyperConnection<I>> Owner<'_, I, S, C> {
    fn into_socket(self) -> Option<Inbound<I>> {
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
                        tracing::debug!(%error, peer = %self.peer, "connection failed, closing it");
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
