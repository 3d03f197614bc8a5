//! Where connections come from.

use std::io::{Error, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};

use super::event::Refused;
use super::places::{Place, Places};

/// How long to stop accepting when the process is out of something. Shorter spins a core while
/// nothing can be had; longer keeps callers waiting once it can.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Connections that the kernel keeps for us before they are accepted. Its own limit
/// (`net.core.somaxconn`) applies too.
const BACKLOG: u32 = 4096;

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

/// Next connection, with its place.
///
/// Cancel-safe: nothing is lost if the future is dropped while waiting.
pub(super) async fn next_connection(
    listener: &TcpListener,
    places: &Places,
) -> (TcpStream, SocketAddr, Place) {
    loop {
        let one = places.one().await;
        let (stream, peer) = next_stream(listener).await;
        if let Ok(place) = places.give(one, peer.ip()) {
            return (stream, peer, place);
        }
        // Nothing is said to it: whoever opens so many does not listen.
        tracing::debug!(%peer, "as many connections as one address may have");
        Refused::PerAddress.emit();
    }
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
