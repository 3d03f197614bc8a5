//! Socket of a connection as it is written to: [`Outbound`] notes whether the socket takes bytes, and
//! whether the client has reset the connection.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::activity::SocketActivity;

/// Stream that detects a broken connection although nothing is read from it.
pub(super) trait Liveness {
    /// Ready once the client has reset the connection. A client that has half-closed it may still
    /// read; whether it does shows when a response is written. A reset is not detected behind
    /// unread bytes, or behind that end of stream.
    fn poll_broken(&self, context: &mut Context<'_>) -> Poll<io::Error>;
}

/// Stream layer that notes whether the socket takes what is sent.
pub(super) struct Outbound {
    socket: TcpStream,
    activity: Arc<SocketActivity>,
}

impl Outbound {
    pub(super) fn new(socket: TcpStream, activity: Arc<SocketActivity>) -> Self {
        Self { socket, activity }
    }

    fn note<T>(&self, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        match outcome {
            Poll::Ready(_) => self.activity.wrote(),
            Poll::Pending => self.activity.note_blocked(),
        }
        outcome
    }
}

impl Liveness for Outbound {
    fn poll_broken(&self, context: &mut Context<'_>) -> Poll<io::Error> {
        let mut byte = [0];
        match self.socket.poll_peek(context, &mut ReadBuf::new(&mut byte)) {
            Poll::Ready(Err(error)) => Poll::Ready(error),
            Poll::Ready(Ok(_)) | Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: Liveness> Liveness for TlsStream<S> {
    fn poll_broken(&self, context: &mut Context<'_>) -> Poll<io::Error> {
        self.get_ref().0.poll_broken(context)
    }
}

impl AsyncRead for Outbound {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(context, buffer)
    }
}

impl AsyncWrite for Outbound {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.socket).poll_write(context, bytes);
        self.note(outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.socket).poll_write_vectored(context, pieces);
        self.note(outcome)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    /// After a lingering close the socket is not shut down. The close that follows tells the
    /// client.
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.activity.has_lingered() {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}
