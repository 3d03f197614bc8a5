//! The socket as hyper uses it: small answers go out in one piece, and what happens is noted.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::activity::SocketActivity;

/// Answers up to this many bytes, head included, are copied together before they are sent.
///
/// Measured: the kernel takes 0.4 µs longer for two pieces than for one, which copies 1.4 KB
/// several times over; beyond a few KB the copy costs more. A connection that has sent a small
/// answer keeps a buffer of this size.
const GATHERED_MAX: usize = 2048;

/// Whoever keeps the activity of a connection.
pub(super) trait Observed: Send + Sync + 'static {
    fn socket(&self) -> &SocketActivity;
}

/// A connection's bytes, plain, on whatever carries them.
pub(super) struct Socket<S, A> {
    stream: S,
    gathered: Vec<u8>,
    observed: Arc<A>,
}

impl<S, A: Observed> Socket<S, A> {
    pub(super) fn new(stream: S, observed: Arc<A>) -> Self {
        Self { stream, gathered: Vec::new(), observed }
    }

    /// Notes what came of an attempt to write.
    fn note<T>(&self, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        match outcome {
            Poll::Ready(_) => self.observed.socket().wrote(),
            Poll::Pending => self.observed.socket().is_blocked(),
        }
        outcome
    }
}

impl<S: AsyncRead + Unpin, A: Observed> AsyncRead for Socket<S, A> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let outcome = Pin::new(&mut self.stream).poll_read(context, buffer);
        if let Some(received) = buffer.filled().get(before..) {
            self.observed.socket().received(received);
        }
        outcome
    }
}

impl<S: AsyncWrite + Unpin, A: Observed> AsyncWrite for Socket<S, A> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.note(outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let stream = Pin::new(&mut this.stream);
        let outcome = if gather(pieces, &mut this.gathered) {
            stream.poll_write(context, &this.gathered)
        } else {
            stream.poll_write_vectored(context, pieces)
        };
        self.note(outcome)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_flush(context);
        self.note(outcome)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_shutdown(context);
        self.note(outcome)
    }
}

/// Puts all pieces into one, if they fit.
fn gather(pieces: &[IoSlice<'_>], into: &mut Vec<u8>) -> bool {
    let bytes: usize = pieces.iter().map(|piece| piece.len()).sum();
    if bytes > GATHERED_MAX {
        return false;
    }
    into.clear();
    into.reserve_exact(GATHERED_MAX);
    for piece in pieces {
        into.extend_from_slice(piece);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_gathered_in_order_if_they_fit() {
        let mut into = b"before".to_vec();
        let pieces = [IoSlice::new(b"ab"), IoSlice::new(b""), IoSlice::new(b"cde")];
        assert!(gather(&pieces, &mut into));
        assert_eq!(into, b"abcde");
        let (most, one) = (vec![b'x'; GATHERED_MAX], [b'y']);
        assert!(gather(&[IoSlice::new(&most)], &mut into));
        assert!(!gather(&[IoSlice::new(&most), IoSlice::new(&one)], &mut into));
    }
}
