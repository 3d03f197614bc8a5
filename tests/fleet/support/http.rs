//! One request on a connection of its own. It may fail: whoever is asked may be gone.

use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::wait::PATIENCE;

/// A response, read whole.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Answer {
    /// A field's value. Panics if it is not there.
    pub(crate) fn field(&self, name: &str) -> &str {
        let fields = self.head.lines().filter_map(|line| line.split_once(": "));
        let mut values = fields.filter(|(own, _)| own.eq_ignore_ascii_case(name));
        values.next().unwrap_or_else(|| panic!("no field {name} in {self:#?}")).1
    }

    /// The version of the file that it answers with. Panics if it does not.
    pub(crate) fn version(&self) -> u64 {
        let version = self.body.trim_matches(['[', ']']).parse().ok();
        version.filter(|_| self.status == 200).unwrap_or_else(|| panic!("no list: {self:#?}"))
    }
}

pub(crate) async fn send(
    address: SocketAddr,
    method: &str,
    target: &str,
    fields: &str,
    body: &str,
) -> Result<Answer> {
    let length = body.len();
    let request = format!(
        "{method} {target} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
         Content-Length: {length}\r\n{fields}\r\n{body}"
    );
    let exchange = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await?;
        parse(&String::from_utf8_lossy(&bytes)).ok_or(Error::from(ErrorKind::UnexpectedEof))
    };
    timeout(PATIENCE, exchange).await.unwrap_or(Err(ErrorKind::TimedOut.into()))
}

fn parse(text: &str) -> Option<Answer> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let answer = Answer { status, head: head.to_owned(), body: body.to_owned() };
    let is_whole = status == 204 || answer.field("content-length").parse() == Ok(body.len());
    is_whole.then_some(answer)
}
