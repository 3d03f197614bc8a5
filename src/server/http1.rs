//! HTTP/1.1 on one connection.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::header::CONNECTION;
use http::{HeaderValue, Response, StatusCode};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use pin_project_lite::pin_project;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};

use super::activity::{Activity, SocketActivity};
use super::connection::{End, Served, drive};
use super::event::Deadline;
use super::io::Inbound;
use super::{Drain, ServerSettings, Service};

/// hyper refuses a smaller buffer than this.
const HYPER_BUFFER_MIN: usize = 8 * 1024;

/// To a head that takes too long. Like hyper's own answers to heads that cannot be read, it has no
/// body: nobody is known to be listening.
const TIMED_OUT: &[u8] =
    b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

pub(super) async fn serve<I, S>(
    stream: Inbound<I>,
    peer: SocketAddr,
    service: &Arc<S>,
    settings: &ServerSettings,
    drain: &Drain,
) where
    I: AsyncRead + AsyncWrite + Unpin,
    S: Service,
{
    let activity = Arc::new(Activity::new(stream.activity(), drain.announcement()));
    let answer = |request| {
        activity.asked();
        let answer = Arc::clone(service).call(request, peer);
        Answered { answer, activity: Arc::clone(&activity) }
    };
    let connection = http1::Builder::new()
        // On, it holds back an answer while more input is buffered, a stray CRLF included.
        .pipeline_flush(false)
        // hyper's would close idle connections too.
        .header_read_timeout(None)
        .max_buf_size(settings.max_head_bytes.max(HYPER_BUFFER_MIN))
        .serve_connection(TokioIo::new(stream), service_fn(answer));
    let mut served = Http1 { connection, activity: &activity };
    match drive(&mut served, settings, drain, || activity.phase()).await {
        End::Closed(Err(error)) => {
            tracing::debug!(%error, %peer, "connection ended early");
            if error.is_parse_too_large() {
                service.unreadable(peer, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
            } else if error.is_parse() {
                service.unreadable(peer, StatusCode::BAD_REQUEST);
            }
        }
        End::Due(Deadline::Header) => {
            service.unreadable(peer, StatusCode::REQUEST_TIMEOUT);
            let mut socket = served.connection.into_parts().io.into_inner();
            // Whoever sends so slowly may not read at all.
            let told = async {
                socket.write_all(TIMED_OUT).await?;
                socket.shutdown().await
            };
            _ = tokio::time::timeout(settings.linger, told).await;
        }
        End::Closed(Ok(())) | End::Cut | End::Due(_) => {}
    }
}

struct Http1<'a, C> {
    connection: C,
    activity: &'a Activity,
}

impl<I, S, B> Served for Http1<'_, http1::Connection<I, S>>
where
    S: hyper::service::HttpService<hyper::body::Incoming, ResBody = B>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    I: hyper::rt::Read + hyper::rt::Write + Unpin,
    B: http_body::Body + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<hyper::Result<()>> {
        Pin::new(&mut self.connection).poll(context)
    }

    fn leave(&mut self) -> bool {
        self.activity.leave();
        false
    }

    fn close(&mut self) {
        Pin::new(&mut self.connection).graceful_shutdown();
    }

    fn socket(&self) -> &SocketActivity {
        self.activity.socket()
    }
}

pin_project! {
    /// An answer in the making, after which the connection may have to end.
    struct Answered<F> {
        #[pin]
        answer: F,
        activity: Arc<Activity>,
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
