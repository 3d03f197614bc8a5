//! HTTP server: listeners and connections for an application that implements [`Service`].
//!
//! A connection permit is taken before a connection is accepted. So past the limit, new connections
//! wait in the kernel's backlog instead of in the gateway's memory. Every phase of a connection has
//! its own deadline (`deadline`). A connection that misbehaves holds only its permit, and not for
//! long.

mod activity;
mod answered;
mod connection;
mod deadline;
mod drain;
mod event;
mod http1;
mod http2;
mod inbound;
mod listen;
mod outbound;
mod passed;
mod places;
mod request_lines;
mod streams;
mod tls;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::Full;
use hyper::body::Incoming;
use ipnet::IpNet;
use tokio::net::TcpStream;

pub use drain::{Drain, DrainEnd};
pub use event::{Deadline, Refused};
pub use listen::{Listen, Listener, bind};
pub use passed::{PassedListeners, PassedSockets, Takers, UnusableSocket};
use places::{Place, Places};
pub use tls::{Tls, TlsChange, TlsError, TlsFiles, TlsSlot};

/// Longest useful [`ServerSettings::linger`]. A longer one delays a drain; a shorter one loses
/// requests of clients that are farther away.
pub const LINGER_MAX: Duration = Duration::from_secs(1);

/// Limits of one kind of listener.
#[derive(Clone, Debug)]
pub struct ServerSettings {
    pub max_connections: usize,
    pub max_connections_per_ip: usize,
    /// Networks of peers that `max_connections_per_ip` does not apply to.
    pub uncounted: Vec<IpNet>,
    /// Longest head accepted, in bytes. hyper answers a longer one with 431.
    pub max_head_bytes: usize,
    /// Longest time from the first byte of a head to its end. A TLS handshake has the same limit.
    pub header_timeout: Duration,
    pub idle_timeout: Duration,
    /// Longest time in which a peer takes no byte of its responses.
    pub write_stall_timeout: Duration,
    /// Longest age of a connection. Shortened by up to a tenth, so that connections do not all end
    /// at once.
    pub max_connection_age: Duration,
    /// Time for which a connection that is to end stays open after its last response, so that a
    /// request that is on its way is not lost. Must be shorter than the grace period of a drain.
    pub linger: Duration,
}

impl ServerSettings {
    /// Returns limits for internal listeners, which have few clients.
    pub fn internal() -> Self {
        Self {
            max_connections: 64,
            max_connections_per_ip: 64,
            uncounted: Vec::new(),
            max_head_bytes: 16 * 1024,
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            write_stall_timeout: Duration::from_secs(30),
            max_connection_age: Duration::from_hours(1),
            linger: LINGER_MAX,
        }
    }
}

/// Application behind the listeners. It always answers; the `Result`s in its signatures are
/// hyper's.
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
    ) -> Answering<Self::Body>;

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
pub enum Answering<B> {
    Now(Response<B>),
    Later(Pin<Box<dyn Future<Output = Response<B>> + Send>>),
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

/// Server of one or more listeners that share one connection limit and end together.
pub struct Server<S> {
    service: Arc<S>,
    settings: ServerSettings,
    places: Places,
    drain: Drain,
    tls: TlsSlot,
}

impl<S: Service> Server<S> {
    /// Builds a server without TLS.
    pub fn new(service: Arc<S>, settings: ServerSettings, drain: Drain) -> Arc<Self> {
        Self::with_tls(service, settings, drain, TlsSlot::default())
    }

    /// Builds a server that speaks TLS while the slot holds a certificate.
    pub fn with_tls(
        service: Arc<S>,
        settings: ServerSettings,
        drain: Drain,
        tls: TlsSlot,
    ) -> Arc<Self> {
        let places = Places::new(&settings);
        Arc::new(Self { service, settings, places, drain, tls })
    }

    /// Accepts connections until the drain begins, in a task of its own.
    pub fn listen(self: &Arc<Self>, listeners: Vec<Listener>) {
        self.drain.accept(Arc::clone(self).accept(listeners));
    }

    async fn accept(self: Arc<Self>, listeners: Vec<Listener>) {
        loop {
            tokio::select! {
                next = listen::next_connection(&listeners, &self.places) => self.serve(next),
                () = self.drain.begun() => break,
            }
        }
        for last in listen::last_connections(listeners, &self.places) {
            self.serve(last);
        }
    }

    fn serve(self: &Arc<Self>, (stream, peer, place): (TcpStream, SocketAddr, Place)) {
        let server = Arc::clone(self);
        let acceptor = self.tls.load().as_ref().map(|tls| tls.acceptor());
        self.drain.track(async move {
            connection::serve(&server, stream, peer, acceptor).await;
            drop(place);
        });
    }
}
