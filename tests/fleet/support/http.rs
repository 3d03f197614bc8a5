//! HTTP client of the fleet tests: one request per connection. It may fail, because the gateway may
//! be gone.

use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;

use tokio::io::{AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::wait::PATIENCE;
use crate::shared::{Answer, read};

impl Answer {
    /// Returns the version of the file in the response. Panics if there is none.
    pub(crate) fn version(&self) -> u64 {
        let text = String::from_utf8_lossy(&self.bytes);
        let version = text.trim_matches(['[', ']']).parse().ok();
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
        let answer = read(&mut BufReader::new(stream), method).await?;
        answer.ok_or(Error::from(ErrorKind::UnexpectedEof))
    };
    timeout(PATIENCE, exchange).await.unwrap_or(Err(ErrorKind::TimedOut.into()))
}
