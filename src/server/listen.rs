//! Where connections come from.

use std::io::{Error, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;

use listenfd::ListenFd;
use tokio::net::{TcpListener, TcpStream};

use super::event::Refused;
use super::places::{Place, Places};

/// How long to stop accepting when the process is out of something. Shorter spins a core while
/// nothing can be had; longer keeps callers waiting once it can.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Connections that the kernel keeps for us before they are accepted. Its own limit
/// (`net.core.somaxconn`) applies too.
const BACKLOG: u32 = 4096;

/// Where a listener is to come from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Listen {
    Address(SocketAddr),
    /// Whatever sockets the service manager passes.
    Passed,
}

/// A socket that is being listened on.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    /// Whoever passed it listens on, also when this process no longer does.
    passed: bool,
}

/// Sockets that the service manager has opened and passed, as `sd_listen_fds(3)` says.
#[derive(Default)]
pub struct PassedSockets(Option<ListenFd>);

impl PassedSockets {
    /// Takes them out of the environment: to be called once, while the process has one thread.
    pub fn from_environment() -> Self {
        Self(Some(ListenFd::from_env()))
    }

    /// All of them. Must be called within a runtime.
    ///
    /// # Errors
    ///
    /// One that is not a TCP socket that is listened on.
    pub fn listeners(self) -> Result<Vec<Listener>, Error> {
        let mut listeners = Vec::new();
        let Some(mut passed) = self.0 else { return Ok(listeners) };
        for place in 0..passed.len() {
            if let Some(socket) = passed.take_tcp_listener(place)? {
                socket.set_nonblocking(true)?;
                listeners.push(Listener { socket: TcpListener::from_std(socket)?, passed: true });
            }
        }
        Ok(listeners)
    }
}

impl Listener {
    pub fn local_addr(&self) -> Result<SocketAddr, Error> {
        self.socket.local_addr()
    }
}

/// Binds a TCP listener.
pub fn bind(address: SocketAddr) -> Result<Listener, Error> {
    let socket = match address {
        SocketAddr::V4(_) => tokio::net::TcpSocket::new_v4()?,
        SocketAddr::V6(_) => tokio::net::TcpSocket::new_v6()?,
    };
    // A restart must not wait for old connections to be forgotten.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(Listener { socket: socket.listen(BACKLOG)?, passed: false })
}

/// Next connection, with its place.
///
/// Cancel-safe: nothing is lost if the future is dropped while waiting.
pub(super) async fn next_connection(
    listener: &Listener,
    places: &Places,
) -> (TcpStream, SocketAddr, Place) {
    loop {
        let one = places.one().await;
        let (stream, peer) = next_stream(&listener.socket).await;
        if let Ok(place) = places.give(one, peer.ip()) {
            return (stream, peer, place);
        }
        // Nothing is said to it: whoever opens so many does not listen.
        tracing::debug!(%peer, "as many connections as one address may have");
        Refused::PerAddress.emit();
    }
}

/// One that is in the kernel's backlog of a socket that is about to be closed, and would be reset
/// with it. In that of a passed socket it waits for whoever gets the socket next.
pub(super) async fn last_connection(
    listener: &Listener,
    places: &Places,
) -> Option<(TcpStream, SocketAddr, Place)> {
    if listener.passed {
        return None;
    }
    // Asks once, since no time is given.
    tokio::time::timeout(Duration::ZERO, next_connection(listener, places)).await.ok()
}

async fn next_stream(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) if concerns_one_connection(&error) => {
                tracing::debug!(%error, "connection lost before accept");
            }
            // Out of file descriptors or memory. Retrying at once would spin a core; giving up
            // would turn a spike into an outage.
            Err(error) => {
                tracing::error!(%error, "accept failed, pausing");
                Refused::OutOfFiles.emit();
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
