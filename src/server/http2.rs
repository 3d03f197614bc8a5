//! HTTP/2 on one connection.
//!
//! Flow control is the caller's, so a caller that grants none stalls its answers while the socket
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
use super::answered::{Answered, OnAnswer};
use super::connection::{End, Served, drive};
use super::io::{Inbound, Liveness};
use super::streams::{OpenStream, Streams};
use super::{Drain, ServerSettings, Service};

/// Requests at a time. More lets one connection keep more tasks; fewer makes pages wait.
const STREAMS_MAX: u32 = 100;

/// h2 takes a part of a body while less than this waits to be sent of its stream: when nothing does.
const SEND_BUFFER: usize = 1;

/// Of requests' bodies, which nobody needs but webhooks: of one, and of all of a connection.
const STREAM_WINDOW: u32 = 64 * 1024;
const CONNECTION_WINDOW: u32 = 256 * 1024;

/// Streams that were reset before we had looked at them: beyond this the connection ends.
const PENDING_RESETS_MAX: usize = 50;

/// Streams that we have reset, over the life of a connection, likewise.
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
        Answered::new(service.call(request, peer, None), Watching(Some(stream)))
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
        tracing::debug!(%error, %peer, "connection ended early");
    }
}

struct Http2<'a, C> {
    connection: C,
    streams: &'a Streams,
}

impl<I, S, B> Served for Http2<'_, http2::Connection<I, S, TokioExecutor>>
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

    // GOAWAY: what was sent before the caller has seen it is answered.
    fn leave(&mut self) -> bool {
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

/// Notes when the answer of one stream is there, and watches its body.
struct Watching(Option<OpenStream>);

impl<B: Body> OnAnswer<B> for Watching {
    type Body = Watched<B>;

    fn answered(&mut self, mut response: Response<B>) -> Response<Watched<B>> {
        // Of HTTP/1.1: here it would be an error.
        response.headers_mut().remove(CONNECTION);
        let mut stream = self.0.take();
        if let Some(stream) = &mut stream {
            stream.answered(Instant::now());
        }
        response.map(|body| Watched { body, stream })
    }
}

/// A body of which each part that leaves is noted, up to the last.
struct Watched<B> {
    body: B,
    stream: Option<OpenStream>,
}

/// Bytes of such a body. The stream ends with them.
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
            stream.moved(Instant::now());
        }
    }
}
