//! An HTTP/1.1 client that sends exactly the bytes it is given.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

/// Longer than anything should take, on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(20);

/// A response, read whole.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: String,
    /// The body as it came; `body` is this as text.
    pub(crate) bytes: Vec<u8>,
}

impl Answer {
    /// A field's value. Panics if it is not there once.
    pub(crate) fn field(&self, name: &str) -> &str {
        self.find(name).unwrap_or_else(|| panic!("no field {name} in {self:#?}"))
    }

    pub(crate) fn find(&self, name: &str) -> Option<&str> {
        let mut values = self.fields.iter().filter(|(own, _)| own.eq_ignore_ascii_case(name));
        let (_, value) = values.next()?;
        assert!(values.next().is_none(), "two fields {name} in {self:#?}");
        Some(value)
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("not JSON: {self:#?}"))
    }

    /// The code of one of ikgate's own errors, whose shape is checked on the way.
    pub(crate) fn code(&self) -> String {
        let body = self.json();
        assert_eq!(self.field("content-type"), "application/json; charset=utf-8");
        for key in ["message", "help"] {
            assert!(body[key].as_str().is_some_and(|text| !text.is_empty()), "{key}: {self:#?}");
        }
        body["code"].as_str().unwrap_or_else(|| panic!("no code: {self:#?}")).to_owned()
    }
}

/// One connection, over whatever carries it.
pub(crate) struct Connection(BufReader<Box<dyn Wire>>);

pub(crate) trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<W: AsyncRead + AsyncWrite + Send + Unpin> Wire for W {}

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

    /// Reads one response to `method`. `None` if the connection ended before one began.
    pub(crate) async fn read(&mut self, method: &str) -> Option<Answer> {
        tokio::time::timeout(PATIENCE, self.read_answer(method)).await.expect("no answer in time")
    }

    /// Whether a further request on it is answered with a list.
    pub(crate) async fn answers(&mut self, request: &str) -> bool {
        self.write(request).await;
        self.read("GET").await.is_some_and(|answer| answer.status == 200)
    }

    /// Whether the other side has closed.
    pub(crate) async fn is_closed(&mut self) -> bool {
        let mut byte = [0];
        let read = tokio::time::timeout(PATIENCE, self.0.read(&mut byte)).await;
        matches!(read.expect("neither closed nor answered in time"), Ok(0) | Err(_))
    }

    /// The same, whatever it says before.
    pub(crate) async fn is_closed_in_the_end(&mut self) -> bool {
        let mut rest = Vec::new();
        let read = tokio::time::timeout(PATIENCE, self.0.read_to_end(&mut rest)).await;
        read.is_ok()
    }

    async fn read_answer(&mut self, method: &str) -> Option<Answer> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match self.0.read_u8().await {
                Ok(byte) => head.push(byte),
                Err(_) if head.is_empty() => return None,
                Err(error) => panic!("{error} in {}", String::from_utf8_lossy(&head)),
            }
        }
        let head = String::from_utf8(head).unwrap();
        let mut lines = head.trim_end().lines();
        let status: u16 = lines.next()?.split(' ').nth(1)?.parse().unwrap();
        let fields: Vec<_> = lines
            .map(|line| line.split_once(": ").unwrap_or((line, "")))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let mut answer = Answer { status, fields, body: String::new(), bytes: Vec::new() };
        if method != "HEAD" && !matches!(status, 204 | 304) {
            let length = answer.field("content-length").parse().unwrap();
            let mut body = vec![0; length];
            self.0.read_exact(&mut body).await.unwrap();
            answer.body = String::from_utf8_lossy(&body).into_owned();
            answer.bytes = body;
        }
        Some(answer)
    }
}

/// Sends one request on a connection of its own.
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
