//! Listeners and connections: HTTP for an application that implements [`Service`].
//!
//! A place is taken before a connection is accepted, so that past the limit newcomers wait in the
//! kernel's backlog instead of in our memory. Whatever a connection does has a deadline of its own
//! (`deadline`); one that does nothing right holds nothing but itself, and not for long.

mod activity;
mod answered;
mod connection;
mod deadline;
mod drain;
mod event;
mod http1;
mod http2;
mod io;
mod listen;
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

/// Longest [`ServerSettings::linger`] that makes sense. Longer keeps a drain waiting; shorter loses
/// requests of clients that are farther away.
pub const LINGER_MAX: Duration = Duration::from_secs(1);

/// Limits of one kind of listener.
#[derive(Clone, Debug)]
pub struct ServerSettings {
    pub max_connections: usize,
    pub max_connections_per_ip: usize,
    /// Peers that may have as many as there are.
    pub uncounted: Vec<IpNet>,
    /// Longest head accepted; hyper answers a longer one with 431.
    pub max_head_bytes: usize,
    /// From the first byte of a head to its end; as long for a TLS handshake.
    pub header_timeout: Duration,
    pub idle_timeout: Duration,
    /// How long a peer may take nothing of what it asked for.
    pub write_stall_timeout: Duration,
    /// Shortened by up to a tenth, so that not all end at once.
    pub max_connection_age: Duration,
    /// How long a connection that is to end stays open after its last answer, so that a request
    /// that is on its way already is not lost. Less than what a drain has.
    pub linger: Duration,
}

impl ServerSettings {
    /// For listeners of our own, which few use.
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

/// Application behind the listeners. It always answers: the `Result`s are hyper's.
pub trait Service: Send + Sync + 'static {
    /// Bytes of a body. Advanced as the connection takes them, dropped when it is done with them.
    type Data: Buf + Send + 'static;
    type Body: Body<Data = Self::Data, Error = Infallible> + Send + Unpin + 'static;
    /// A request that [`Service::try_hit`] has begun; `()`, where there is no fast path.
    type Begun: Send + 'static;

    /// Answers a request. `begun`: what the fast path knows of it already.
    fn call(
        self: &Arc<Self>,
        request: Request<Incoming>,
        peer: SocketAddr,
        begun: Option<Self::Begun>,
    ) -> Answering<Self::Body>;

    /// Whether there is a fast path.
    fn has_fast_path(&self) -> bool {
        false
    }

    /// Answers what a connection of HTTP/1.1 received, if nothing has to be waited for: the head is
    /// written to `head`, which is empty. `close`: the connection ends with it in any case.
    fn try_hit(
        self: &Arc<Self>,
        _received: &[u8],
        _peer: SocketAddr,
        _close: bool,
        _head: &mut Vec<u8>,
    ) -> FastPath<Self::Data, Self::Begun> {
        FastPath::Other(None)
    }

    /// Answers a head that could not be read. `begun`: what the fast path has read of it. `None`:
    /// hyper's own answer will do, of a status alone.
    fn refuse(
        &self,
        _peer: SocketAddr,
        _refused: Unreadable,
        _begun: Option<Self::Begun>,
    ) -> Option<Response<Self::Body>> {
        None
    }
}

/// Why a head could not be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unreadable {
    /// It is no head of HTTP/1.
    Malformed,
    TimedOut,
    /// It has more bytes, or more fields, than a head may have.
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

/// Response of one of the services that need no more than a body in memory.
pub type Reply = Response<Full<Bytes>>;

/// Makes one.
pub fn reply(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Reply {
    let mut reply = Response::new(Full::new(body.into()));
    *reply.status_mut() = status;
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    reply
}

/// Answer of a service.
pub enum Answering<B> {
    Now(Response<B>),
    Later(Pin<Box<dyn Future<Output = Response<B>> + Send>>),
}

/// What the fast path makes of what a connection received.
pub enum FastPath<D, B> {
    Hit {
        body: D,
        /// Bytes that the request took.
        length: usize,
        /// Whether the client wants the connection to end.
        close: bool,
    },
    /// It is for hyper. `Some`: the request is known so far.
    Other(Option<B>),
}

/// Connections of one or more listeners that share a limit and end together.
pub struct Server<S> {
    service: Arc<S>,
    settings: ServerSettings,
    places: Places,
    drain: Drain,
    tls: TlsSlot,
}

impl<S: Service> Server<S> {
    /// Without TLS.
    pub fn new(service: Arc<S>, settings: ServerSettings, drain: Drain) -> Arc<Self> {
        Self::with_tls(service, settings, drain, TlsSlot::default())
    }

    /// With TLS while there is some in the slot.
    pub fn with_tls(
        service: Arc<S>,
        settings: ServerSettings,
        drain: Drain,
        tls: TlsSlot,
    ) -> Arc<Self> {
        let places = Places::new(&settings);
        Arc::new(Self { service, settings, places, drain, tls })
    }

    /// Accepts until the drain begins, in a task of its own.
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
