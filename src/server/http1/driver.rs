//! Fast path of a connection: answers plain requests with stored responses, without hyper. A
//! connection that uses only the fast path holds no buffer between two requests.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::server::activity::Activity;
use crate::server::inbound::Inbound;
use crate::server::outbound::Liveness;
use crate::server::service::{FastPath, Service};

/// Bytes that are read at once. hyper handles a longer head.
const READ: usize = 4096;

/// Connection between two requests, or at a request whose response is stored.
pub(super) struct Driver<'a, I, S: Service> {
    pub(super) io: Inbound<I>,
    peer: SocketAddr,
    service: &'a Arc<S>,
    activity: &'a Activity,
    /// Boxed, because it is rare: the socket takes most responses at once.
    sending: Option<Box<Sending<S::Data>>>,
    closing: bool,
}

/// Rest of a response that the socket has not taken yet.
struct Sending<D> {
    head: Vec<u8>,
    /// Bytes of the head that the socket has taken.
    sent: usize,
    body: D,
}

/// Outcome of one turn.
pub(super) enum Progress<B> {
    Closed,
    /// hyper must handle the next bytes. They begin with this request, as far as the fast path
    /// knows it.
    Other(Option<B>),
}

thread_local! {
    /// Buffer for a head. One is enough for all connections of a thread.
    static HEAD: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

impl<'a, I, S> Driver<'a, I, S>
where
    I: AsyncRead + AsyncWrite + Liveness + Unpin,
    S: Service,
{
    pub(super) fn new(
        io: Inbound<I>,
        peer: SocketAddr,
        service: &'a Arc<S>,
        activity: &'a Activity,
    ) -> Self {
        Self { io, peer, service, activity, sending: None, closing: false }
    }

    /// Stops taking requests.
    pub(super) fn close(&mut self) {
        self.closing = true;
    }

    pub(super) fn poll(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<Progress<S::Begun>>> {
        loop {
            if let Some(sending) = &mut self.sending {
                ready!(sending.poll(&mut self.io, context))?;
                if let Some(sending) = self.sending.take() {
                    self.delivered(*sending);
                }
            }
            if self.closing {
                ready!(Pin::new(&mut self.io).poll_shutdown(context))?;
                return Poll::Ready(Ok(Progress::Closed));
            }
            let mut space = [const { MaybeUninit::uninit() }; READ];
            let mut buffer = ReadBuf::uninit(&mut space);
            ready!(Pin::new(&mut self.io).poll_read(context, &mut buffer))?;
            if buffer.filled().is_empty() {
                self.closing = true;
                self.activity.socket().end_linger();
                continue;
            }
            if let Some(other) = self.answer_all(buffer.filled(), context)? {
                return Poll::Ready(Ok(other));
            }
        }
    }

    /// Answers requests while the fast path can. `Some`: hyper must handle the rest.
    fn answer_all(
        &mut self,
        mut received: &[u8],
        context: &mut Context<'_>,
    ) -> io::Result<Option<Progress<S::Begun>>> {
        while !received.is_empty() && !self.closing {
            let mut head = HEAD.take();
            head.clear();
            let draining = self.activity.is_draining();
            let found = self.service.try_hit(received, self.peer, draining, &mut head);
            let (body, length, close) = match found {
                FastPath::Hit { body, length, close } => (body, length, close),
                FastPath::Other(begun) => {
                    HEAD.set(head);
                    self.io.unread(Bytes::copy_from_slice(received));
                    return Ok(Some(Progress::Other(begun)));
                }
            };
            self.activity.request_received();
            self.closing = close || draining;
            received = received.get(length..).unwrap_or_default();
            let mut sending = Sending { head, sent: 0, body };
            if let Poll::Ready(sent) = sending.poll(&mut self.io, context) {
                sent?;
                self.delivered(sending);
            } else {
                self.sending = Some(Box::new(sending));
                self.io.unread(Bytes::copy_from_slice(received));
                break;
            }
        }
        Ok(None)
    }

    fn delivered(&self, sending: Sending<S::Data>) {
        HEAD.set(sending.head);
        self.activity.response_ready();
    }
}

impl<D: Buf> Sending<D> {
    /// Resolves once the socket has taken the whole response.
    fn poll<I>(&mut self, io: &mut Inbound<I>, context: &mut Context<'_>) -> Poll<io::Result<()>>
    where
        I: AsyncRead + AsyncWrite + Liveness + Unpin,
    {
        let mut io = Pin::new(io);
        loop {
            let head = self.head.get(self.sent..).unwrap_or_default();
            if head.is_empty() && !self.body.has_remaining() {
                return io.poll_flush(context);
            }
            let pieces = [IoSlice::new(head), IoSlice::new(self.body.chunk())];
            let taken = ready!(io.as_mut().poll_write_vectored(context, &pieces))?;
            if taken == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            let of_head = taken.min(head.len());
            self.sent += of_head;
            self.body.advance(taken - of_head);
        }
    }
}
