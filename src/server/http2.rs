//! HTTP/2 on one connection.
//!
//! Flow control is the caller's, so a caller that grants none stalls its answers while the socket
//! looks well. So bodies are handed over in pieces, and each is watched: a piece is asked for when
//! there is room for it. Memory for what is handed over and not yet sent is bounded by
//! [`SEND_BUFFER`] for each of [`STREAMS_MAX`].

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::Response;
use http::header::CONNECTION;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::rt::bounds::Http2ServerConnExec;
use hyper::server::conn::http2;
use hyper::service::{HttpService, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use pin_project_lite::pin_project;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use super::connection::{End, Served, drive};
use super::io::Socket;
use super::streams::{OpenStream, Streams};
use super::{Drain, ServerSettings, Service};

/// Requests at a time. More lets one connection keep more tasks; fewer makes pages wait.
const STREAMS_MAX: u32 = 100;

/// A piece of a body, and all that may wait to be sent of one answer.
const PIECE: usize = 16 * 1024;
const SEND_BUFFER: usize = 2 * PIECE;

/// Of requests' bodies, which nobody needs but webhooks: of one, and of all of a connection.
const STREAM_WINDOW: u32 = 64 * 1024;
const CONNECTION_WINDOW: u32 = 256 * 1024;

/// Streams that were reset before we had looked at them, and that we have reset: beyond this the
/// connection ends.
const RESETS_MAX: usize = 50;

pub(super) async fn serve<I, S>(
    stream: I,
    peer: SocketAddr,
    service: &Arc<S>,
    settings: &ServerSettings,
    drain: &Drain,
) where
    I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    S: Service,
{
    let streams = Arc::new(Streams::default());
    let answer = |request| {
        let stream = streams.open();
        let answer = Arc::clone(service).call(request, peer);
        Answered { answer, stream: Some(stream) }
    };
    let head_max = u32::try_from(settings.max_head_bytes).unwrap_or(u32::MAX);
    let connection = http2::Builder::new(TokioExecutor::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(head_max)
        .max_send_buf_size(SEND_BUFFER)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_pending_accept_reset_streams(RESETS_MAX)
        .max_local_error_reset_streams(RESETS_MAX)
        .serve_connection(
            TokioIo::new(Socket::new(stream, Arc::clone(&streams))),
            service_fn(answer),
        );
    let mut served = Http2(connection);
    if let End::Closed(Err(error)) = drive(&mut served, settings, drain, || streams.phase()).await {
        tracing::debug!(%error, %peer, "connection ended early");
    }
}

struct Http2<C>(C);

impl<I, S, B> Served for Http2<http2::Connection<I, S, TokioExecutor>>
where
    S: HttpService<Incoming, ResBody = B>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    I: hyper::rt::Read + hyper::rt::Write + Unpin,
    B: Body + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    TokioExecutor: Http2ServerConnExec<S::Future, B>,
{
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<hyper::Result<()>> {
        Pin::new(&mut self.0).poll(context)
    }

    // GOAWAY: what was sent before the caller has seen it is answered.
    fn leave(&mut self) {
        Pin::new(&mut self.0).graceful_shutdown();
    }

    fn close(&mut self) {
        self.leave();
    }
}

pin_project! {
    /// An answer in the making.
    struct Answered<F> {
        #[pin]
        answer: F,
        stream: Option<OpenStream>,
    }
}

impl<F, B> Future for Answered<F>
where
    F: Future<Output = Result<Response<B>, Infallible>>,
{
    type Output = Result<Response<InPieces<B>>, Infallible>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Ok(mut response) = ready!(this.answer.poll(context));
        // Of HTTP/1.1: here it would be an error.
        response.headers_mut().remove(CONNECTION);
        let mut stream = this.stream.take();
        if let Some(stream) = &mut stream {
            stream.answered(Instant::now());
        }
        Poll::Ready(Ok(response.map(|body| InPieces { body, rest: Bytes::new(), stream })))
    }
}

/// A body that is taken when there is room for more of it.
struct InPieces<B> {
    body: B,
    /// Of the frame that is being taken.
    rest: Bytes,
    stream: Option<OpenStream>,
}

impl<B: Body<Data = Bytes, Error = Infallible> + Unpin> Body for InPieces<B> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = &mut *self;
        if this.rest.is_empty() {
            let frame = ready!(Pin::new(&mut this.body).poll_frame(context));
            let Some(Ok(frame)) = frame else { return Poll::Ready(frame) };
            match frame.into_data() {
                Ok(data) => this.rest = data,
                Err(frame) => return Poll::Ready(Some(Ok(frame))),
            }
        }
        if let Some(stream) = &mut this.stream {
            stream.moved(Instant::now());
        }
        let piece = this.rest.split_to(this.rest.len().min(PIECE));
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (rest, body) = (self.rest.len() as u64, self.body.size_hint());
        let mut hint = SizeHint::new();
        if let Some(upper) = body.upper() {
            hint.set_upper(upper + rest);
        }
        hint.set_lower(body.lower() + rest);
        hint
    }
}
