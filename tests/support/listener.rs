//! Listener of an origin: a task for each connection, and heads read from them.

use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};

/// Listens on a port that the kernel picks, and serves each connection in a task of its own.
/// Aborted, it refuses connections, and those that were open are closed.
pub(crate) async fn listen<F>(
    mut serve: impl FnMut(TcpStream) -> F + Send + 'static,
) -> (SocketAddr, AbortHandle)
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let listening = tokio::spawn(async move {
        // Dropped with the listener, and the connections with it.
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            connections.spawn(serve(stream));
        }
    });
    (address, listening.abort_handle())
}

/// Reads the next head, and returns it with its path. `None`: nothing more comes.
pub(crate) async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> Option<(String, String)> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap();
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    Some((head, path))
}
