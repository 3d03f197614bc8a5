//! The short way of a connection: plain requests whose answers are in memory are answered here,
//! without hyper. Between requests a connection is here, and then it holds no buffer at all; for
//! everything else it goes to hyper and comes back.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::message::Plain;
use crate::server::activity::Activity;
use crate::server::io::Inbound;
use crate::server::{Receipt, Service};

/// What is read at once. A longer head is hyper's.
const READ: usize = 4096;

/// A connection between two requests, or at one that is answered from memory.
pub(super) struct Lane<'a, I, S: Service> {
    pub(super) io: Inbound<I>,
    peer: SocketAddr,
    service: &'a Arc<S>,
    activity: &'a Activity,
    /// Apart: the socket takes most answers at once.
    sending: Option<Box<Sending<S::Receipt>>>,
    closing: bool,
}

/// What the socket has not taken yet of an answer.
struct Sending<R> {
    head: Vec<u8>,
    /// Of the head.
    sent: usize,
    body: Bytes,
    receipt: R,
}

/// What a turn came to.
pub(super) enum Turn {
    Closed,
    /// What is there to be read next is for hyper.
    Other,
}

thread_local! {
    /// Where a head is written: one is enough for all connections of a thread.
    static HEAD: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

impl<'a, I, S> Lane<'a, I, S>
where
    I: AsyncRead + AsyncWrite + Unpin,
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

    /// Takes no more requests.
    pub(super) fn close(&mut self) {
        self.closing = true;
    }

    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Turn>> {
        loop {
            if let Some(sending) = &mut self.sending {
                ready!(sending.poll(&mut self.io, context))?;
                if let Some(sending) = self.sending.take() {
                    self.delivered(*sending);
                }
            }
            if self.closing {
                ready!(Pin::new(&mut self.io).poll_shutdown(context))?;
                return Poll::Ready(Ok(Turn::Closed));
            }
            let mut space = [const { MaybeUninit::uninit() }; READ];
            let mut buffer = ReadBuf::uninit(&mut space);
            ready!(Pin::new(&mut self.io).poll_read(context, &mut buffer))?;
            if buffer.filled().is_empty() {
                self.closing = true;
                self.activity.socket().heard_out();
                continue;
            }
            if !self.answer_all(buffer.filled(), context)? {
                return Poll::Ready(Ok(Turn::Other));
            }
        }
    }

    /// Answers as long as answers are taken. False: what comes next is not for here.
    fn answer_all(&mut self, mut received: &[u8], context: &mut Context<'_>) -> io::Result<bool> {
        while !received.is_empty() && !self.closing {
            let Some((mut sending, length, last)) = self.begin(received) else {
                self.io.unread(Bytes::copy_from_slice(received));
                return Ok(false);
            };
            received = received.get(length..).unwrap_or_default();
            if last && received.is_empty() && self.io.is_read_up() {
                // It has said all that it will ever say (RFC 9112 section 9.6).
                self.activity.socket().heard_out();
            }
            if let Poll::Ready(sent) = sending.poll(&mut self.io, context) {
                sent?;
                self.delivered(sending);
            } else {
                self.sending = Some(Box::new(sending));
                self.io.unread(Bytes::copy_from_slice(received));
                break;
            }
        }
        Ok(true)
    }

    /// Begins to answer the request that these bytes begin with. Says where it ends, and whether
    /// the client wants it to be the last.
    fn begin(&mut self, received: &[u8]) -> Option<(Sending<S::Receipt>, usize, bool)> {
        let (mut asked, length) = Plain::parse(received)?;
        let last = asked.last;
        asked.last |= self.activity.is_leaving();
        let mut head = HEAD.take();
        head.clear();
        let Some((body, receipt)) = self.service.at_once(&asked, self.peer, &mut head) else {
            HEAD.set(head);
            return None;
        };
        self.activity.asked();
        self.closing = asked.last;
        Some((Sending { head, sent: 0, body, receipt }, length, last))
    }

    fn delivered(&mut self, sending: Sending<S::Receipt>) {
        HEAD.set(sending.head);
        sending.receipt.delivered();
        self.activity.answered();
    }
}

impl<R: Receipt> Sending<R> {
    /// Ready once the socket has taken it whole.
    fn poll<I>(&mut self, io: &mut Inbound<I>, context: &mut Context<'_>) -> Poll<io::Result<()>>
    where
        I: AsyncRead + AsyncWrite + Unpin,
    {
        let mut io = Pin::new(io);
        loop {
            let head = self.head.get(self.sent..).unwrap_or_default();
            if head.is_empty() && self.body.is_empty() {
                return io.poll_flush(context);
            }
            let pieces = [IoSlice::new(head), IoSlice::new(&self.body)];
            let taken = ready!(io.as_mut().poll_write_vectored(context, &pieces))?;
            if taken == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            let of_head = taken.min(head.len());
            self.sent += of_head;
            self.body.advance(taken - of_head);
            self.receipt.took(taken - of_head);
        }
    }
}
