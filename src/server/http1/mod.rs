//! HTTP/1.1 on one connection. The fast path ([`Driver`]) and hyper serve it in turns; hyper
//! handles every request that the fast path does not.

mod driver;
mod handover;
mod hyper_connection;
mod refusal;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use http::header::CONNECTION;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};

use driver::Driver;
use handover::{HandedOver, Http1, Owner};

use super::activity::Activity;
use super::drain::Drain;
use super::drive::{End, drive};
use super::event::Deadline;
use super::inbound::Inbound;
use super::outbound::Liveness;
use super::response_future::{OnResponse, ResponseFuture};
use super::service::{Service, ServiceResponse, Unreadable};
use super::settings::ServerSettings;
use crate::error_chain::chain;

/// Smallest buffer that hyper accepts, in bytes.
const HYPER_BUFFER_MIN: usize = 8 * 1024;

pub(super) async fn serve<I, S>(
    stream: Inbound<I>,
    peer: SocketAddr,
    service: &Arc<S>,
    settings: &ServerSettings,
    drain: &Drain,
) where
    I: AsyncRead + AsyncWrite + Liveness + Unpin,
    S: Service,
{
    let activity = Arc::new(Activity::new(stream.activity(), drain.announcement()));
    let handed_over = HandedOver::new();
    let answer = |request: Request<Incoming>| {
        activity.request_received();
        if !request.body().is_end_stream() {
            activity.note_body();
        }
        let is_get = *request.method() == Method::GET;
        let answering = service.call(request, peer, handed_over.begun.lock().take());
        handed_over.count(is_get && is_hit(&answering));
        if let ServiceResponse::Pending(_) = answering {
            activity.response_pending();
        }
        ResponseFuture::new(answering, Arc::clone(&activity))
    };
    let open = |mut stream: Inbound<I>| {
        stream.read_by_hyper(true);
        http1::Builder::new()
            // If set, hyper delays a response while more input is buffered, even a stray CRLF.
            .pipeline_flush(false)
            // A client may close its sending side once it has sent its request (RFC 9112 section
            // 9.6). `Liveness` notices a client that has reset its connection.
            .half_close(true)
            // hyper's timeout would close idle connections too.
            .header_read_timeout(None)
            .max_buf_size(settings.max_head_bytes.max(HYPER_BUFFER_MIN))
            .serve_connection(TokioIo::new(stream), service_fn(answer))
    };
    let owner = if service.has_fast_path() {
        Owner::Fast(Driver::new(stream, peer, service, &activity))
    } else {
        Owner::Hyper { connection: Box::new(open(stream)), plain: false }
    };
    let handed_over = &handed_over;
    let mut served = Http1 { owner, open, peer, service, activity: &activity, handed_over };
    let refused = match drive(&mut served, settings, drain, || activity.phase()).await {
        End::Closed(Err(error)) => {
            tracing::debug!(error = chain(&error), %peer, "connection failed, closing it");
            match error {
                error if error.is_parse_too_large() => Unreadable::TooLong,
                error if error.is_parse() => Unreadable::Malformed,
                _ => return,
            }
        }
        End::Due(Deadline::Header) => Unreadable::TimedOut,
        End::Closed(Ok(())) => {
            // hyper does not close the socket if the client asked for an upgrade.
            let Some(mut socket) = served.owner.into_socket() else { return };
            return not_for_long(socket.shutdown(), settings, drain).await;
        }
        End::Cut | End::Due(_) => return,
    };
    let Some(socket) = served.owner.into_socket() else { return };
    let response = service.refuse(peer, refused, handed_over.begun.lock().take());
    // A client whose head cannot be read may not read the response either.
    not_for_long(refusal::write(socket, refused, response), settings, drain).await;
}

/// Awaits the last step of a connection, for `linger` at most.
async fn not_for_long(
    last: impl Future<Output = io::Result<()>>,
    settings: &ServerSettings,
    drain: &Drain,
) {
    let (_, cut) = drain.signals();
    tokio::select! {
        _ = tokio::time::timeout(settings.linger, last) => {}
        () = cut.given() => {}
    }
}

/// Returns whether the fast path could have given this response. It leaves refusals to hyper.
fn is_hit<B>(answering: &ServiceResponse<B>) -> bool {
    let ServiceResponse::Ready(response) = answering else { return false };
    response.status().is_success() || response.status() == StatusCode::NOT_MODIFIED
}

impl<B> OnResponse<B> for Arc<Activity> {
    type Body = B;

    fn on_response(&mut self, mut response: Response<B>) -> Response<B> {
        Activity::response_ready(self);
        if self.is_draining() {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}
