//! Faulty link: a proxy between one gateway and Redis that can close, delay or stop the bytes.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// State of a link, for both directions.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Mode {
    /// Open and new connections are closed.
    Closed,
    /// Bytes from Redis are held; bytes from the gateway arrive.
    Deaf,
    Open,
    /// Bytes are held in both directions, as with an unplugged cable.
    Silent,
    /// Each piece is delayed by this duration.
    Slow(Duration),
}

pub(crate) struct Link {
    pub(crate) address: SocketAddr,
    mode: watch::Sender<Mode>,
}

impl Link {
    /// Opens a link to a server at this socket path. The server may start later.
    pub(crate) async fn to(server: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (mode, modes) = watch::channel(Mode::Open);
        let server = server.to_owned();
        tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(connect(stream, server.clone(), modes.clone()));
            }
        });
        Self { address, mode }
    }

    pub(crate) fn is(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }
}

async fn connect(near: TcpStream, server: PathBuf, modes: watch::Receiver<Mode>) {
    if *modes.borrow() == Mode::Closed {
        return;
    }
    let Ok(far) = UnixStream::connect(server).await else { return };
    _ = near.set_nodelay(true);
    let (near_read, near_write) = near.into_split();
    let (far_read, far_write) = far.into_split();
    // When one end closes, both are closed.
    tokio::select! {
        () = carry(near_read, far_write, modes.clone(), &[Mode::Silent]) => {}
        () = carry(far_read, near_write, modes, &[Mode::Silent, Mode::Deaf]) => {}
    }
}

/// Copies bytes in one direction, and pauses while the link holds that direction.
async fn carry(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    modes: watch::Receiver<Mode>,
    waits: &[Mode],
) {
    let (mut piece, mut closed, mut modes) = ([0; 16 * 1024], modes.clone(), modes);
    loop {
        let length = tokio::select! {
            read = from.read(&mut piece) => read.unwrap_or(0),
            _ = closed.wait_for(|mode| *mode == Mode::Closed) => return,
        };
        let mode = modes.wait_for(|mode| !waits.contains(mode)).await.map(|mode| *mode);
        match mode {
            Err(_) | Ok(Mode::Closed) => return,
            Ok(Mode::Slow(by)) => tokio::time::sleep(by).await,
            Ok(Mode::Deaf | Mode::Open | Mode::Silent) => {}
        }
        if length == 0 || to.write_all(&piece[..length]).await.is_err() {
            return;
        }
    }
}
