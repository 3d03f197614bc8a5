//! hyper, as a connection of HTTP/1.1 uses it: for whatever is not answered from memory.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::CONNECTION;
use http::{HeaderValue, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use pin_project_lite::pin_project;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::server::activity::Activity;
use crate::server::io::Inbound;

/// hyper's connection, whose type cannot be written down.
pub(super) trait Engine<I> {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<hyper::Result<()>>;
    fn close(&mut self);
    /// The stream, and what of it was read and not used.
    fn into_stream(self) -> (Inbound<I>, Bytes);
}

impl<I, S, B> Engine<I> for http1::Connection<TokioIo<Inbound<I>>, S>
where
    I: AsyncRead + AsyncWrite + Unpin,
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

pin_project! {
    /// An answer in the making, after which the connection may have to end.
    pub(super) struct Answered<F> {
        #[pin]
        pub(super) answer: F,
        pub(super) activity: Arc<Activity>,
    }
}

impl<F, B> Future for Answered<F>
where
    F: Future<Output = Result<Response<B>, Infallible>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        // Changed in its place: moving it costs more than all else here.
        let mut answer = this.answer.poll(context);
        if let Poll::Ready(answered) = &mut answer {
            this.activity.answered();
            if this.activity.is_leaving()
                && let Ok(response) = answered
            {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
        }
        answer
    }
}
