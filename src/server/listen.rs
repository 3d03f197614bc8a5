//! Where connections come from.

use std::future::poll_fn;
use std::io::{Error, ErrorKind};
use std::net::SocketAddr;
use std::task::Poll;
use std::time::Duration;

use socket2::SockRef;
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
    /// Sockets that the service manager passes: for the admin listener the one named `admin`, for
    /// the public one all others.
    Passed,
}

impl Listen {
    /// Whether only this machine can reach it. Nobody knows that of sockets that are passed.
    pub fn is_loopback(&self) -> bool {
        match self {
            Self::Address(address) => address.ip().is_loopback(),
            Self::Passed => false,
        }
    }
}

/// A socket that is being listened on.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    /// Whoever passed it listens on, also when this process no longer does.
    passed: bool,
}

impl Listener {
    /// Connections get the option from the socket that they come from, one system call less for
    /// each.
    fn new(socket: TcpListener, passed: bool) -> Self {
        // Answers are written whole; waiting to fill a packet only delays them.
        if let Err(error) = SockRef::from(&socket).set_tcp_nodelay(true) {
            tracing::debug!(%error, "no TCP_NODELAY");
        }
        Self { socket, passed }
    }

    /// A socket that the service manager listens on, also when this process no longer does. Must be
    /// called within a runtime.
    pub(super) fn passed(socket: std::net::TcpListener) -> Result<Self, Error> {
        socket.set_nonblocking(true)?;
        Ok(Self::new(TcpListener::from_std(socket)?, true))
    }

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
    Ok(Listener::new(socket.listen(BACKLOG)?, false))
}

/// Next connection, with its place.
///
/// Cancel-safe: nothing is lost if the future is dropped while waiting.
pub(super) async fn next_connection(
    listeners: &[Listener],
    places: &Places,
) -> (TcpStream, SocketAddr, Place) {
    loop {
        let one = places.one().await;
        let (stream, peer) = next_stream(listeners).await;
        if let Ok(place) = places.give(one, peer.ip()) {
            return (stream, peer, place);
        }
        // Nothing is said to it: whoever opens so many does not listen.
        tracing::debug!(%peer, "as many connections as one address may have");
        Refused::PerAddress.emit();
    }
}

/// What is in the kernel's backlog of sockets that are about to be closed, and would be reset with
/// them; as far as there are places. In the backlog of a passed socket it waits for whoever gets
/// the socket next.
pub(super) fn last_connections(
    listeners: Vec<Listener>,
    places: &Places,
) -> Vec<(TcpStream, SocketAddr, Place)> {
    let mut last = Vec::new();
    for listener in listeners.into_iter().filter(|listener| !listener.passed) {
        // The runtime would say that there is nothing, until it has heard of it itself.
        let Ok(socket) = listener.socket.into_std() else { continue };
        while let Some(one) = places.one_at_once()
            && let Ok((stream, peer)) = socket.accept()
        {
            let stream = stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream));
            if let (Ok(stream), Ok(place)) = (stream, places.give(one, peer.ip())) {
                last.push((stream, peer, place));
            }
        }
    }
    last
}

async fn next_stream(listeners: &[Listener]) -> (TcpStream, SocketAddr) {
    loop {
        match accept(listeners).await {
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

/// From whichever has one. Which is asked first is left to chance, so that a busy one does not keep
/// the others out.
async fn accept(listeners: &[Listener]) -> Result<(TcpStream, SocketAddr), Error> {
    let (after, before) = listeners.split_at(fastrand::usize(..listeners.len().max(1)));
    poll_fn(|context| {
        let polled =
            before.iter().chain(after).map(|listener| listener.socket.poll_accept(context));
        polled.into_iter().find(Poll::is_ready).unwrap_or(Poll::Pending)
    })
    .await
}

fn concerns_one_connection(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionRefused | ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn connections_send_without_waiting_to_fill_a_packet() {
        let listeners = [bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap()];
        let address = listeners[0].local_addr().unwrap();
        let (_client, (accepted, _)) =
            tokio::join!(TcpStream::connect(address), next_stream(&listeners));
        assert!(accepted.nodelay().unwrap());
    }
}
