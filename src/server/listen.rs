//! Listeners: where they come from, and how connections are accepted.

use std::future::poll_fn;
use std::io::{Error, ErrorKind};
use std::net::SocketAddr;
use std::task::Poll;
use std::time::Duration;

use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};

use super::connection_permits::{ConnectionPermit, ConnectionPermits};
use super::event::Refused;

/// Pause of accepting while the process is out of a resource. A shorter one spins a core while none
/// is free; a longer one keeps clients waiting once one is.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Connections that the kernel queues until they are accepted. Its own limit (`net.core.somaxconn`)
/// applies too.
const BACKLOG: u32 = 4096;

/// Source of a listener.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ListenSource {
    Address(SocketAddr),
    /// Sockets that the service manager passes. The admin listener takes the one named `admin`; the
    /// public listener takes all others.
    Passed,
}

impl ListenSource {
    /// Returns whether only this machine can reach the listener. For passed sockets that is not
    /// known, so the answer is no.
    pub fn is_loopback(&self) -> bool {
        match self {
            Self::Address(address) => address.ip().is_loopback(),
            Self::Passed => false,
        }
    }
}

/// Socket that accepts connections.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    /// Whether the service manager passed it, and listens on it even after this process.
    passed: bool,
}

impl Listener {
    /// Sets the option on the listening socket. Its connections inherit it, which saves a system
    /// call for each.
    fn new(socket: TcpListener, passed: bool) -> Self {
        // Responses are written whole. Waiting to fill a packet only delays them.
        if let Err(error) = SockRef::from(&socket).set_tcp_nodelay(true) {
            tracing::debug!(%error, "cannot set TCP_NODELAY, continuing without it");
        }
        Self { socket, passed }
    }

    /// Wraps a socket of the service manager, which listens on it even after this process. Must be
    /// called within a runtime.
    pub(super) fn passed(socket: std::net::TcpListener) -> Result<Self, Error> {
        socket.set_nonblocking(true)?;
        Ok(Self::new(TcpListener::from_std(socket)?, true))
    }

    pub fn local_addr(&self) -> Result<SocketAddr, Error> {
        self.socket.local_addr()
    }
}

/// Binds a TCP listener. One on `[::]` accepts IPv4, too, also where `net.ipv6.bindv6only` is set.
pub fn bind(address: SocketAddr) -> Result<Listener, Error> {
    let socket = match address {
        SocketAddr::V4(_) => tokio::net::TcpSocket::new_v4()?,
        SocketAddr::V6(_) => tokio::net::TcpSocket::new_v6()?,
    };
    if address.is_ipv6() {
        SockRef::from(&socket).set_only_v6(false)?;
    }
    // A restart must not wait until the kernel forgets old connections.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(Listener::new(socket.listen(BACKLOG)?, false))
}

/// Accepts the next connection, with its permit.
///
/// Cancel-safe: nothing is lost if the future is dropped while it waits.
pub(super) async fn next_connection(
    listeners: &[Listener],
    permits: &ConnectionPermits,
) -> (TcpStream, SocketAddr, ConnectionPermit) {
    loop {
        let permit = permits.acquire().await;
        let (stream, peer) = next_stream(listeners).await;
        if let Ok(permit) = permits.for_peer(permit, peer.ip()) {
            return (stream, peer, permit);
        }
        refuse(&stream, peer, permits);
    }
}

/// Counts a connection of an address that has too many, and makes its close a reset. Logs one in a
/// minute. After an orderly
/// end some client libraries wait for a response until their timeout; after a reset they fail at
/// once.
fn refuse(stream: &TcpStream, peer: SocketAddr, permits: &ConnectionPermits) {
    Refused::PerAddress.emit();
    if let Some(refused) = permits.refused() {
        tracing::warn!(
            %peer,
            refused,
            "connection reset: its address has reached max_connections_per_ip; {refused} reset since \
             the last line"
        );
    }
    if let Err(error) = SockRef::from(stream).set_linger(Some(Duration::ZERO)) {
        tracing::debug!(%error, "cannot reset a connection: it is closed in order");
    }
}

/// Accepts the connections left in the kernel's backlog, as far as permits are free. Their sockets
/// are about to be closed, which would reset them. The backlog of a passed socket stays for the
/// process that gets the socket next.
pub(super) fn last_connections(
    listeners: Vec<Listener>,
    permits: &ConnectionPermits,
) -> Vec<(TcpStream, SocketAddr, ConnectionPermit)> {
    let mut last = Vec::new();
    for listener in listeners.into_iter().filter(|listener| !listener.passed) {
        // The runtime would report nothing until it has been notified itself.
        let Ok(socket) = listener.socket.into_std() else { continue };
        while let Some(permit) = permits.try_acquire()
            && let Ok((stream, peer)) = socket.accept()
        {
            let stream = stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream));
            let Ok(stream) = stream else { continue };
            match permits.for_peer(permit, peer.ip()) {
                Ok(permit) => last.push((stream, peer, permit)),
                Err(_) => refuse(&stream, peer, permits),
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
                tracing::debug!(%error, "connection lost before it was accepted");
            }
            // Out of file descriptors or memory. An immediate retry would spin a core; giving up
            // would turn a spike into an outage.
            Err(error) => {
                tracing::error!(%error, "accept failed, trying again in 100 ms");
                Refused::OutOfFiles.emit();
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Accepts from any listener. The first one polled is random, so that a busy listener does not
/// starve the others.
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
