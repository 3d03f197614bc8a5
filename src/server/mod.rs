//! Listeners and connections: HTTP/1.1 for whoever implements [`Service`].
//!
//! A permit is taken before a connection is accepted, so that past the limit newcomers wait in
//! the kernel's backlog instead of in our memory.

mod connection;
mod drain;
mod io;

use std::convert::Infallible;
use std::io::{Error, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub use drain::{Drain, DrainEnd};

/// How long to stop accepting when the process is out of something. Shorter spins a core while
/// nothing can be had; longer keeps callers waiting once it can.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Connections that the kernel keeps for us before they are accepted. Its own limit
/// (`net.core.somaxconn`) applies too.
const BACKLOG: u32 = 4096;

/// Limits of one kind of listener.
#[derive(Clone, Copy, Debug)]
pub struct ServerSettings {
    pub max_connections: usize,
    /// Longest head accepted; hyper answers a longer one with 431.
    pub max_head_bytes: usize,
}

/// Who answers, always: the `Result` is hyper's, whose future this then is without a wrapper.
pub trait Service: Send + Sync + 'static {
    type Body: Body<Data = Bytes, Error = Infallible> + Send + 'static;

    fn call(
        self: Arc<Self>,
        request: Request<Incoming>,
        peer: SocketAddr,
    ) -> impl Future<Output = Result<Response<Self::Body>, Infallible>> + Send;
}

/// Binds a TCP listener.
pub fn bind(address: SocketAddr) -> Result<TcpListener, Error> {
    let socket = match address {
        SocketAddr::V4(_) => tokio::net::TcpSocket::new_v4()?,
        SocketAddr::V6(_) => tokio::net::TcpSocket::new_v6()?,
    };
    // A restart must not wait for old connections to be forgotten.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Connections of one or more listeners that share a limit and end together.
pub struct Server<S> {
    service: Arc<S>,
    settings: ServerSettings,
    slots: Arc<Semaphore>,
    drain: Drain,
}

impl<S: Service> Server<S> {
    pub fn new(service: Arc<S>, settings: ServerSettings, drain: Drain) -> Arc<Self> {
        let slots = Arc::new(Semaphore::new(settings.max_connections));
        Arc::new(Self { service, settings, slots, drain })
    }

    /// Accepts until the drain begins, in a task of its own.
    pub fn listen(self: &Arc<Self>, listener: TcpListener) {
        self.drain.accept(Arc::clone(self).accept(listener));
    }

    async fn accept(self: Arc<Self>, listener: TcpListener) {
        loop {
            let next = tokio::select! {
                next = next_connection(&listener, &self.slots) => next,
                () = self.drain.begun() => return,
            };
            let (stream, peer, slot) = next;
            let server = Arc::clone(&self);
            self.drain.track(async move {
                connection::serve(stream, peer, &server.service, server.settings, &server.drain)
                    .await;
                drop(slot);
            });
        }
    }
}

/// Next connection, with the permit that bounds how many are open.
///
/// Cancel-safe: nothing is lost if the future is dropped while waiting.
async fn next_connection(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> (TcpStream, SocketAddr, OwnedSemaphorePermit) {
    let slot = Arc::clone(slots).acquire_owned().await.expect("the semaphore is never closed");
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => return (stream, peer, slot),
            Err(error) if concerns_one_connection(&error) => {
                tracing::debug!(%error, "connection lost before accept");
            }
            // Out of file descriptors or memory. Retrying at once would spin a core; giving up
            // would turn a spike into an outage.
            Err(error) => {
                tracing::error!(%error, "accept failed, pausing");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn concerns_one_connection(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionRefused | ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset
    )
}
