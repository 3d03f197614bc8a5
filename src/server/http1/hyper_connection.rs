//! hyper, as an HTTP/1.1 connection uses it: for every request that the fast path does not answer.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::server::inbound::Inbound;
use crate::server::outbound::Liveness;

/// Interface of hyper's connection, whose type cannot be written down.
pub(super) trait HyperConnection<I> {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<hyper::Result<()>>;
    fn close(&mut self);
    /// Returns the stream, and the bytes that hyper has read from it and not used.
    fn into_stream(self) -> (Inbound<I>, Bytes);
}

impl<I, S, B> HyperConnection<I> for http1::Connection<TokioIo<Inbound<I>>, S>
where
    I: AsyncRead + AsyncWrite + Liveness + Unpin,
    S: hyper::service::HttpService<Incoming, ResBody = B>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    B: http_body::Body + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<hyper::Result<()>> {
        Pin::new(self).poll(context)
    }

    fn close(&mut self) {
        Pin::new(self).graceful_shutdown();
    }

    fn into_stream(self) -> (Inbound<I>, Bytes) {
        let parts = self.into_parts();
        (parts.io.into_inner(), parts.read_buf)
    }
}
