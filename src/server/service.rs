//! Interface between the server and its application.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::Full;
use hyper::body::Incoming;

/// Application behind the listeners. It always answers, so no method returns a `Result`.
pub trait Service: Send + Sync + 'static {
    /// Bytes of a body. Advanced as the connection takes them, dropped when the connection is done
    /// with them.
    type Data: Buf + Send + 'static;
    type Body: Body<Data = Self::Data, Error = Infallible> + Send + Unpin + 'static;
    /// Request that [`Service::try_hit`] has begun. `()` without a fast path.
    type Begun: Send + 'static;

    /// Answers a request. `begun` is what the fast path knows of it already.
    fn call(
        self: &Arc<Self>,
        request: Request<Incoming>,
        peer: SocketAddr,
        begun: Option<Self::Begun>,
    ) -> ServiceResponse<Self::Body>;

    /// Returns whether the service has a fast path.
    fn has_fast_path(&self) -> bool {
        false
    }

    /// Answers the request at the beginning of `received`, if it can do so without waiting. Writes
    /// the response's head to `head`, which is empty. With `close`, the connection ends with this
    /// response in any case.
    fn try_hit(
        self: &Arc<Self>,
        _received: &[u8],
        _peer: SocketAddr,
        _close: bool,
        _head: &mut Vec<u8>,
    ) -> FastPath<Self::Data, Self::Begun> {
        FastPath::Other(None)
    }

    /// Answers a head that could not be read. `begun` is what the fast path has read of it. `None`:
    /// hyper's own response is used, which has a status and no body.
    fn refuse(
        &self,
        _peer: SocketAddr,
        _refused: Unreadable,
        _begun: Option<Self::Begun>,
    ) -> Option<Response<Self::Body>> {
        None
    }
}

/// Reason why a head could not be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unreadable {
    /// The bytes are not a head of HTTP/1.
    Malformed,
    TimedOut,
    /// The head has more bytes, or more fields, than allowed.
    TooLong,
}

impl Unreadable {
    pub fn status(self) -> StatusCode {
        match self {
            Self::Malformed => StatusCode::BAD_REQUEST,
            Self::TimedOut => StatusCode::REQUEST_TIMEOUT,
            Self::TooLong => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        }
    }
}

/// Response of a service whose bodies are in memory.
pub type Reply = Response<Full<Bytes>>;

/// Builds a [`Reply`].
pub fn reply(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Reply {
    let mut reply = Response::new(Full::new(body.into()));
    *reply.status_mut() = status;
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    reply
}

/// Response of a service, ready or in progress.
pub enum ServiceResponse<B> {
    Ready(Response<B>),
    Pending(Pin<Box<dyn Future<Output = Response<B>> + Send>>),
}

/// Outcome of the fast path for the bytes that a connection received.
pub enum FastPath<D, B> {
    Hit {
        body: D,
        /// Length of the request, in bytes.
        length: usize,
        /// Whether the client wants the connection to end.
        close: bool,
    },
    /// hyper must handle the request. `Some`: the fast path has begun it.
    Other(Option<B>),
}
