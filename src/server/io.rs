//! The socket as hyper writes to it.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Answers up to this many bytes, head included, are copied together before they are sent.
///
/// Measured: the kernel takes 0.4 µs longer for two pieces than for one, which copies 1.4 KB
/// several times over; beyond a few KB the copy costs more. Lives on the stack of each write.
const GATHERED_MAX: usize = 2048;

/// A connection whose small answers go out in one piece.
pub(super) struct Gathering(pub(super) TcpStream);

impl AsyncRead for Gathering {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for Gathering {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut gathered = [0; GATHERED_MAX];
        match gather(pieces, &mut gathered) {
            Some(bytes) => Pin::new(&mut self.0).poll_write(context, bytes),
            None => Pin::new(&mut self.0).poll_write_vectored(context, pieces),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

/// All pieces in one, if they fit.
fn gather<'a>(pieces: &[IoSlice<'_>], into: &'a mut [u8]) -> Option<&'a [u8]> {
    let mut end = 0;
    for piece in pieces {
        into.get_mut(end..)?.get_mut(..piece.len())?.copy_from_slice(piece);
        end += piece.len();
    }
    into.get(..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_gathered_in_order_if_they_fit() {
        let pieces = [IoSlice::new(b"ab"), IoSlice::new(b""), IoSlice::new(b"cde")];
        assert_eq!(gather(&pieces, &mut [0; 8]), Some(&b"abcde"[..]));
        assert_eq!(gather(&pieces, &mut [0; 5]), Some(&b"abcde"[..]));
        assert_eq!(gather(&pieces, &mut [0; 4]), None);
    }
}
