//! HTTP/1.1 client for tests that sends exactly the given bytes.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::shared::{Answer, read};

/// Time limit for any wait, long enough for a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(20);

impl Answer {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("not JSON: {self:#?}"))
    }

    /// Returns the code of one of ikgate's own errors, and checks the shape of the error.
    pub(crate) fn code(&self) -> String {
        let body = self.json();
        assert_eq!(self.field("content-type"), "application/json; charset=utf-8");
        for key in ["message", "help"] {
            assert!(body[key].as_str().is_some_and(|text| !text.is_empty()), "{key}: {self:#?}");
        }
        body["code"].as_str().unwrap_or_else(|| panic!("no code: {self:#?}")).to_owned()
    }
}

/// Connection over any byte stream: TCP or TLS.
pub(crate) struct Connection(BufReader<Box<dyn Wire>>);

pub(crate) trait Wire: AsyncRead + AsyncWrite + Send + Unpin {
    fn socket(&self) -> &TcpStream;
}

impl Wire for TcpStream {
    fn socket(&self) -> &TcpStream {
        self
    }
}

impl Wire for TlsStream<TcpStream> {
    fn socket(&self) -> &TcpStream {
        self.get_ref().0
    }
}

impl Wire for Box<dyn Wire> {
    fn socket(&self) -> &TcpStream {
        (**self).socket()
    }
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Self {
        Self::try_open(address).await.unwrap()
    }

    pub(crate) async fn try_open(address: SocketAddr) -> std::io::Result<Self> {
        Ok(Self::over(TcpStream::connect(address).await?))
    }

    pub(crate) fn over(wire: impl Wire + 'static) -> Self {
        Self(BufReader::new(Box::new(wire)))
    }

    pub(crate) async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.get_mut().write_all(bytes.as_ref()).await.unwrap();
        self.0.get_mut().flush().await.unwrap();
    }

    /// Writes to a server that may have closed. Returns whether the write succeeded.
    pub(crate) async fn try_write(&mut self, bytes: &[u8]) -> bool {
        let stream = self.0.get_mut();
        stream.write_all(bytes).await.is_ok() && stream.flush().await.is_ok()
    }

    /// Closes the sending side (half-close). Returns whether the connection was still open.
    pub(crate) async fn half_close(&mut self) -> bool {
        self.0.get_mut().shutdown().await.is_ok()
    }

    /// Resets the connection. A mere drop could look like a half-close.
    pub(crate) fn reset(self) {
        self.0.get_ref().socket().set_zero_linger().unwrap();
    }

    /// Reads one response to `method`. `None` if the connection ended before one began.
    pub(crate) async fn read(&mut self, method: &str) -> Option<Answer> {
        self.try_read(method).await.unwrap()
    }

    /// Like `read`, but returns an error instead of a panic.
    pub(crate) async fn try_read(&mut self, method: &str) -> Result<Option<Answer>, String> {
        match tokio::time::timeout(PATIENCE, read(&mut self.0, method)).await {
            Ok(answer) => answer.map_err(|error| error.to_string()),
            Err(_) => Err("no answer in time".to_owned()),
        }
    }

    /// Returns whether a further request on this connection is answered with a list.
    pub(crate) async fn answers(&mut self, request: &str) -> bool {
        self.write(request).await;
        self.read("GET").await.is_some_and(|answer| answer.status == 200)
    }

    /// Whether the other side has closed, and not by a reset.
    pub(crate) async fn ends_in_order(&mut self) -> bool {
        let mut byte = [0];
        let read = tokio::time::timeout(PATIENCE, self.0.read(&mut byte)).await;
        matches!(read.expect("neither closed nor answered in time"), Ok(0))
    }

    /// Returns whether the server has closed without a further byte.
    pub(crate) async fn is_closed(&mut self) -> bool {
        let mut byte = [0];
        let read = tokio::time::timeout(PATIENCE, self.0.read(&mut byte)).await;
        matches!(read.expect("neither closed nor answered in time"), Ok(0) | Err(_))
    }

    /// Returns whether the server resets the connection, before any byte.
    pub(crate) async fn is_reset(&mut self) -> bool {
        let mut byte = [0];
        let read = tokio::time::timeout(PATIENCE, self.0.read(&mut byte)).await;
        let read = read.expect("neither closed nor answered in time");
        read.is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionReset)
    }

    /// Returns whether the server closes, after any bytes.
    pub(crate) async fn is_closed_in_the_end(&mut self) -> bool {
        let mut rest = Vec::new();
        let read = tokio::time::timeout(PATIENCE, self.0.read_to_end(&mut rest)).await;
        read.is_ok()
    }
}

/// Sends one request on a new connection and returns the response.
pub(crate) async fn send(
    address: SocketAddr,
    method: &str,
    target: &str,
    fields: &[(&str, &str)],
) -> Answer {
    let line = |(name, value): &(&str, &str)| format!("{name}: {value}\r\n");
    let fields: String = fields.iter().map(line).collect();
    let head = format!("{method} {target} HTTP/1.1\r\nHost: {address}\r\n{fields}\r\n");
    let mut connection = Connection::open(address).await;
    connection.write(head).await;
    connection.read(method).await.expect("closed without an answer")
}

pub(crate) async fn get(address: SocketAddr, target: &str) -> Answer {
    send(address, "GET", target, &[]).await
}
