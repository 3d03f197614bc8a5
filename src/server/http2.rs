//! HTTP/2 on one connection.
//!
//! Flow control is the caller's, so a caller that grants none stalls its answers while the socket
//! looks well. So bodies are handed over in pieces, each when the last has left, and each is
//! watched. The last piece leaves our sight with the body: it is small, and a copy, so that it
//! holds nothing else.

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

use super::activity::SocketActivity;
use super::connection::{End, Served, drive};
use super::io::Inbound;
use super::streams::{OpenStream, Streams};
use super::{Drain, ServerSettings, Service};

/// Requests at a time. More lets one connection keep more tasks; fewer makes pages wait.
const STREAMS_MAX: u32 = 100;

/// A piece of a body, and the last one. Longer pieces save turns; a longer last piece lets whoever
/// does not take it hold more.
const PIECE: usize = 16 * 1024;
const LAST_PIECE: usize = 1024;

/// h2 takes a piece while less than this waits to be sent of its stream: when nothing does.
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
    I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    S: Service,
{
    let streams = Arc::new(Streams::new(stream.activity()));
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

fn next_piece(rest: &mut Bytes) -> Bytes {
    match rest.len() {
        last if last <= LAST_PIECE => Bytes::copy_from_slice(&std::mem::take(rest)),
        more => rest.split_to((more - LAST_PIECE).min(PIECE)),
    }
}

/// A body that is taken piece by piece.
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
        Poll::Ready(Some(Ok(Frame::data(next_piece(&mut this.rest)))))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leaves_our_sight_last_is_small_and_nothing_is_lost() {
        for length in [1, 1023, 1024, 1025, 16_384, 17_408, 17_409, 100_000] {
            let whole = Bytes::from(vec![b'x'; length]);
            let (mut rest, mut pieces) = (whole.clone(), Vec::new());
            while !rest.is_empty() {
                pieces.push(next_piece(&mut rest));
            }
            assert_eq!(pieces.concat(), whole);
            let last = pieces.last().unwrap();
            assert!(last.len() <= LAST_PIECE, "{length}");
            assert!(pieces.iter().all(|piece| (1..=PIECE).contains(&piece.len())), "{length}");
        }
    }
}
