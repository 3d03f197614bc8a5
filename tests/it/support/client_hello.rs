//! Raw TLS client hello that no library would send, and the server's first reply to it.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const PATIENCE: Duration = Duration::from_secs(20);

/// Numbers of TLS 1.2 extensions.
pub(crate) const EXTENDED_MASTER_SECRET: u16 = 23;
pub(crate) const RENEGOTIATION_INFO: u16 = 0xff01;

/// First reply of a server.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Said {
    /// Alert, by its number.
    Alert(u8),
    Hello {
        version: u16,
        suite: u16,
        compression: u8,
        extensions: Vec<(u16, Vec<u8>)>,
    },
}

/// Returns the bytes with their length in front, in `width` bytes.
fn counted(width: usize, bytes: &[u8]) -> Vec<u8> {
    let length = bytes.len().to_be_bytes();
    [&length[length.len() - width..], bytes].concat()
}

/// Returns the bytes of a client hello with this version and these cipher suites.
fn client_hello(version: u16, suites: &[u16]) -> Vec<u8> {
    let suites: Vec<u8> = suites.iter().flat_map(|suite| suite.to_be_bytes()).collect();
    let extension =
        |kind: u16, content: &[u8]| [&kind.to_be_bytes()[..], &counted(2, content)].concat();
    let extensions = [
        // P-256; uncompressed; ECDSA with SHA-256.
        extension(10, &counted(2, &[0, 23])),
        extension(11, &counted(1, &[0])),
        extension(13, &counted(2, &[4, 3])),
        extension(EXTENDED_MASTER_SECRET, &[]),
        extension(RENEGOTIATION_INFO, &[0]),
    ]
    .concat();
    let hello = [
        &version.to_be_bytes()[..],
        &[7; 32],
        &counted(1, &[]),
        &counted(2, &suites),
        // Compression methods: DEFLATE before none.
        &counted(1, &[1, 0]),
        &counted(2, &extensions),
    ]
    .concat();
    let message = [&[1][..], &counted(3, &hello)].concat();
    [&[22, 3, 1][..], &counted(2, &message)].concat()
}

/// Sends such a client hello and returns the first reply of the server.
pub(crate) async fn said(address: SocketAddr, version: u16, suites: &[u16]) -> Said {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(&client_hello(version, suites)).await.unwrap();
    let read = async {
        let mut head = [0; 5];
        stream.read_exact(&mut head).await.unwrap();
        let mut record = vec![0; usize::from(u16::from_be_bytes([head[3], head[4]]))];
        stream.read_exact(&mut record).await.unwrap();
        (head[0], record)
    };
    let (kind, record) = tokio::time::timeout(PATIENCE, read).await.expect("nothing is said");
    if kind == 21 {
        return Said::Alert(record[1]);
    }
    assert_eq!((kind, record[0]), (22, 2), "a server hello");
    let two = |at: usize| u16::from_be_bytes([record[at], record[at + 1]]);
    // Handshake header, version and random come before the session id.
    let suite_at = 4 + 2 + 32 + 1 + usize::from(record[38]);
    let (mut at, mut extensions) = (suite_at + 5, Vec::new());
    let end = at + usize::from(two(suite_at + 3));
    while at < end {
        let length = usize::from(two(at + 2));
        extensions.push((two(at), record[at + 4..at + 4 + length].to_vec()));
        at += 4 + length;
    }
    Said::Hello {
        version: two(4),
        suite: two(suite_at),
        compression: record[suite_at + 2],
        extensions,
    }
}
