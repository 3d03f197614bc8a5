//! HTTP/2 on one connection: limits, drain, and detection of stalled streams.
//!
//! Clients control the flow. A client that grants no window stalls its responses while the socket
//! looks well. So each stream is watched until the last byte of its body has left.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Buf;
use http::Response;
use http::header::CONNECTION;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::rt::bounds::Http2ServerConnExec;
use hyper::server::conn::http2;
use hyper::service::{HttpService, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use super::activity::SocketActivity;
use super::drain::Drain;
use super::drive::{End, ServedConnection, drive};
use super::inbound::Inbound;
use super::outbound::Liveness;
use super::response_future::{OnResponse, ResponseFuture};
use super::service::Service;
use super::settings::ServerSettings;
use super::streams::{OpenStream, Streams};
use crate::error_chain::chain;

/// Concurrent requests of a connection. A higher limit lets one connection hold more tasks; a lower
/// one makes pages wait.
const STREAMS_MAX: u32 = 100;

/// Send buffer of a stream, in bytes. With one byte, h2 takes the next part of a body only when
/// nothing waits to be sent.
const SEND_BUFFER: usize = 1;

/// Flow-control windows for request bodies in bytes, of one stream and of the connection. Only
/// webhooks need a body.
const STREAM_WINDOW: u32 = 64 * 1024;
const CONNECTION_WINDOW: u32 = 256 * 1024;

/// Streams that the client reset before the server looked at them. Beyond this limit the connection
/// ends.
const PENDING_RESETS_MAX: usize = 50;

/// Streams that the server itself has reset, over the life of a connection. Beyond this limit the
/// connection ends.
const OWN_RESETS_MAX: usize = 1000;

pub(super) async fn serve<I, S>(
    stream: Inbound<I>,
    peer: SocketAddr,
    service: &Arc<S>,
    settings: &ServerSettings,
    drain: &Drain,
) where
    I: AsyncRead + AsyncWrite + Liveness + Send + Unpin + 'static,
    S: Service,
{
    let streams = Arc::new(Streams::new(stream.activity()));
    let answer = |request| {
        let stream = streams.open();
        ResponseFuture::new(service.call(request, peer, None), StreamHook(Some(stream)))
    };
    let head_max = u32::try_from(settings.max_head_bytes).unwrap_or(u32::MAX);
    let connection = http2::Builder::new(TokioExecutor::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(head_max)
        .max_send_buf_size(SEND_BUFFER)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_pending_accept_reset_streams(PENDING_RESETS_MAX)
        .max_local_error_reset_streams(OWN_RESETS_MAX)
        .serve_connection(TokioIo::new(stream), service_fn(answer));
    let mut served = Http2 { connection, streams: &streams };
    if let End::Closed(Err(error)) = drive(&mut served, settings, drain, || streams.phase()).await {
        tracing::debug!(error = chain(&error), %peer, "connection failed, closing it");
    }
}

struct Http2<'a, C> {
    connection: C,
    streams: &'a Streams,
}

impl<I, S, B> ServedConnection for Http2<'_, http2::Connection<I, S, TokioExecutor>>
where
    S: HttpService<Incoming, ResBody = B>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    I: hyper::rt::Read + hyper::rt::Write + Unpin,
    B: Body + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    TokioExecutor: Http2ServerConnExec<S::Future, B>,
{
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<hyper::Result<()>> {
        Pin::new(&mut self.connection).poll(context)
    }

    // Sends GOAWAY. Requests that the client sent before it saw that are answered.
    fn start_draining(&mut self) -> bool {
        Pin::new(&mut self.connection).graceful_shutdown();
        true
    }

    fn close(&mut self) {
        Pin::new(&mut self.connection).graceful_shutdown();
    }

    fn socket(&self) -> &SocketActivity {
        self.streams.socket()
    }
}

/// Hook that notes when the response of one stream is ready, and watches its body.
struct StreamHook(Option<OpenStream>);

impl<B: Body> OnResponse<B> for StreamHook {
    type Body = Watched<B>;

    fn on_response(&mut self, mut response: Response<B>) -> Response<Watched<B>> {
        // `Connection` is a field of HTTP/1.1. In HTTP/2 it would be an error.
        response.headers_mut().remove(CONNECTION);
        let mut stream = self.0.take();
        if let Some(stream) = &mut stream {
            stream.answered(Instant::now());
        }
        response.map(|body| Watched { body, stream })
    }
}

/// Body that notes each part that leaves, up to the last.
struct Watched<B> {
    body: B,
    stream: Option<OpenStream>,
}

/// Bytes of a watched body. The stream ends when they are dropped.
struct WatchedData<D> {
    data: D,
    stream: Option<OpenStream>,
}

impl<B: Body<Error = Infallible> + Unpin> Body for Watched<B> {
    type Data = WatchedData<B::Data>;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Infallible>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        let Some(Ok(frame)) = frame else { return Poll::Ready(None) };
        // The services' bodies have one frame.
        let stream = self.stream.take();
        Poll::Ready(Some(Ok(frame.map_data(|data| WatchedData { data, stream }))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<D: Buf> Buf for WatchedData<D> {
    fn remaining(&self) -> usize {
        self.data.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.data.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.data.advance(count);
        if let Some(stream) = &mut self.stream {
            stream.progressed(Instant::now());
        }
    }
}
