//! Tests of the end of an exchange, which is reported alike for HTTP/1.1 and HTTP/2: body bytes
//! that the connection took, time until the response was ready, and which side left first.

use std::net::SocketAddr;
use std::time::Duration;

use ikgate::exchange::Ending;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use crate::support::http2::{DATA, Frame, Frames, HEADERS};
use crate::support::{
    Authority, Connection, ExchangeReport, FILE, Origin, Reply, TestGateway, Wire, scratch,
    secured, versions_of,
};

/// Size of a large list in bytes, close to the limit.
const LARGE: usize = 4_000_000;

/// Bytes after which a client that leaves has read enough.
const READ: usize = LARGE / 10;

/// Initial HTTP/2 window of a stream and of a connection, in bytes.
const FIRST_WINDOW: u64 = 65_535;

/// Code paths that serve HTTP/1.1.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum CodePath {
    FastPath,
    Hyper,
    FastPathOverTls,
    HyperOverTls,
}

impl CodePath {
    const ALL: [Self; 4] = [Self::FastPath, Self::Hyper, Self::FastPathOverTls, Self::HyperOverTls];

    fn is_tls(self) -> bool {
        matches!(self, Self::FastPathOverTls | Self::HyperOverTls)
    }

    fn request(self, method: &str, file: &str, more: &str) -> String {
        // The fast path does not take requests with this field.
        let hyper = matches!(self, Self::Hyper | Self::HyperOverTls);
        let te = if hyper { "TE: trailers\r\n" } else { "" };
        format!("{method} {} HTTP/1.1\r\nHost: a\r\n{te}{more}\r\n", versions_of(file))
    }
}

struct Started {
    origin: Origin,
    gateway: TestGateway,
    authority: Authority,
    _directory: tempfile::TempDir,
}

impl Started {
    /// Starts a gateway that has a large and a small list stored.
    async fn new(is_tls: bool) -> Self {
        let directory = scratch();
        let (authority, tls) = secured(directory.path());
        let origin = Origin::start().await;
        let large = format!("[\"{}\"]", "x".repeat(LARGE - 4));
        origin.replies(&versions_of("large"), Reply::json(200, &large));
        origin.replies(&versions_of(FILE), Reply::json(200, "[1,2]"));
        let tls = if is_tls { tls } else { String::new() };
        let more = format!(
            "[limits]\nanonymous = {{ per_second = 100000, burst = 100000 }}\n[server]\n{tls}"
        );
        let gateway = TestGateway::configured(&origin, &more);
        let started = Self { origin, gateway, authority, _directory: directory };
        for file in ["large", FILE] {
            let mut wire = started.connect(is_tls).await;
            let request = CodePath::FastPath.request("GET", file, "Connection: close\r\n");
            wire.write_all(request.as_bytes()).await.unwrap();
            wire.read_to_end(&mut Vec::new()).await.unwrap();
        }
        started.ended(2).await;
        started
    }

    /// Opens a connection with small buffers, so that the server's socket takes little at a time.
    async fn connect(&self, is_tls: bool) -> Box<dyn Wire> {
        let stream = narrow(self.gateway.public).await;
        if is_tls {
            return Box::new(self.authority.connect_over(stream, &["http/1.1"]).await.unwrap());
        }
        Box::new(stream)
    }

    async fn open_http2(&self) -> Frames {
        let stream = self.authority.connect(self.gateway.public, &["h2"]).await.unwrap();
        Frames::open(stream, &[]).await
    }

    /// Waits until `count` exchanges have ended, and returns them.
    async fn ended(&self, count: usize) -> Vec<ExchangeReport> {
        self.gateway.exchanges.ended(count).await
    }

    async fn ends_with(&self, ending: Ending) -> ExchangeReport {
        let seen = self.ended(1).await.remove(0);
        assert_eq!(seen.ending, ending as u64, "{seen:?}");
        seen
    }
}

async fn narrow(address: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(address).await.unwrap()
}

#[tokio::test]
async fn an_answer_that_is_taken_whole_ends_answered_with_its_bytes() {
    for code_path in CodePath::ALL {
        let started = Started::new(code_path.is_tls()).await;
        let mut connection = Connection::over(started.connect(code_path.is_tls()).await);
        for (method, file, more, status, bytes) in [
            ("GET", FILE, "", 200, 5),
            ("GET", "large", "", 200, LARGE as u64),
            ("HEAD", FILE, "", 200, 0),
            ("GET", FILE, "If-None-Match: *\r\n", 304, 0),
            ("OPTIONS", FILE, "", 204, 0),
        ] {
            connection.write(code_path.request(method, file, more)).await;
            assert_eq!(
                connection.read(method).await.unwrap().status,
                status,
                "{code_path:?} {method}"
            );
            let seen = started.ends_with(Ending::Answered).await;
            assert_eq!(
                (seen.status, seen.bytes),
                (u64::from(status), bytes),
                "{code_path:?} {method}"
            );
        }
        drop(connection);
        started.gateway.finish().await;
    }
}

#[tokio::test]
async fn a_client_that_leaves_during_the_body_is_told_from_one_that_took_it() {
    for code_path in CodePath::ALL {
        let started = Started::new(code_path.is_tls()).await;
        let mut wire = started.connect(code_path.is_tls()).await;
        wire.write_all(code_path.request("GET", "large", "").as_bytes()).await.unwrap();
        wire.read_exact(&mut vec![0; READ]).await.unwrap();
        // A close with unread bytes resets the connection.
        drop(wire);
        let seen = started.ends_with(Ending::LeftDuringBody).await;
        assert_eq!(seen.status, 200);
        assert!((READ as u64 / 2..LARGE as u64).contains(&seen.bytes), "{code_path:?}: {seen:?}");
        started.gateway.finish().await;
    }
}

#[tokio::test]
async fn a_stream_that_is_reset_during_the_body_ends_so_whether_alone_or_with_its_connection() {
    for with_connection in [false, true] {
        let started = Started::new(true).await;
        let mut frames = started.open_http2().await;
        frames.send(&[Frame::get(1, &versions_of("large"), &[("host", "a")])]).await;
        let mut read = 0;
        while read < FIRST_WINDOW {
            let data = frames.find(|frame| frame.kind == DATA).await.unwrap();
            read += data.payload.len() as u64;
        }
        if with_connection {
            drop(frames);
        } else {
            frames.send(&[Frame::reset(1)]).await;
            frames.sync().await.unwrap();
            // The connection stays open.
            let unchanged = [("host", "a"), ("if-none-match", "*")];
            frames.send(&[Frame::get(3, &versions_of(FILE), &unchanged)]).await;
        }
        let mut ended = started.ended(if with_connection { 1 } else { 2 }).await;
        ended.sort_by_key(|seen| seen.status);
        let seen = &ended[0];
        assert_eq!(seen.ending, Ending::LeftDuringBody as u64, "{with_connection} {seen:?}");
        assert_eq!((seen.status, seen.bytes), (200, FIRST_WINDOW), "what the window let through");
        started.gateway.finish().await;
    }
}

#[tokio::test]
async fn an_answer_over_http2_ends_answered_with_its_bytes() {
    let started = Started::new(true).await;
    let mut frames = started.open_http2().await;
    frames.send(&[Frame::get(1, &versions_of(FILE), &[("host", "a")])]).await;
    frames.find(|frame| frame.kind == DATA).await.unwrap();
    let seen = started.ends_with(Ending::Answered).await;
    assert_eq!((seen.status, seen.bytes), (200, 5));
    let unchanged = [("host", "a"), ("if-none-match", "*")];
    frames.send(&[Frame::get(3, &versions_of(FILE), &unchanged)]).await;
    frames.find(|frame| frame.kind == HEADERS && frame.stream == 3).await.unwrap();
    let seen = started.ends_with(Ending::Answered).await;
    assert_eq!((seen.status, seen.bytes), (304, 0));
    drop(frames);
    started.gateway.finish().await;
}

#[tokio::test]
async fn a_client_that_leaves_before_there_is_an_answer_ends_so() {
    for code_path in CodePath::ALL {
        let started = Started::new(code_path.is_tls()).await;
        started.origin.hold(&versions_of("held"));
        let mut connection = Connection::over(started.connect(code_path.is_tls()).await);
        connection.write(code_path.request("GET", "held", "")).await;
        started.origin.has_seen(&versions_of("held"), 1).await;
        connection.reset();
        let seen = started.ends_with(Ending::LeftBeforeHead).await;
        assert_eq!((seen.status, seen.bytes), (0, 0), "{code_path:?}");
        started.origin.release(&versions_of("held"));
        started.gateway.finish().await;
    }
    let started = Started::new(true).await;
    started.origin.hold(&versions_of("held"));
    let mut frames = started.open_http2().await;
    frames.send(&[Frame::get(1, &versions_of("held"), &[("host", "a")])]).await;
    started.origin.has_seen(&versions_of("held"), 1).await;
    frames.send(&[Frame::reset(1)]).await;
    started.ends_with(Ending::LeftBeforeHead).await;
    started.origin.release(&versions_of("held"));
    drop(frames);
    started.gateway.finish().await;
}

/// RFC 9112 section 9.6: a client may close its sending side after its last request.
#[tokio::test]
async fn a_client_that_has_closed_its_sending_side_is_answered_on_every_way_in() {
    for code_path in CodePath::ALL {
        let started = Started::new(code_path.is_tls()).await;
        started.origin.hold(&versions_of("held"));
        let mut connection = Connection::over(started.connect(code_path.is_tls()).await);
        let pipeline = [("HEAD", FILE), ("GET", "large"), ("GET", FILE), ("GET", "held")];
        for (method, file) in pipeline {
            connection.write(code_path.request(method, file, "")).await;
        }
        assert!(connection.half_close().await);
        for (method, file) in pipeline {
            if file == "held" {
                started.origin.has_seen(&versions_of("held"), 1).await;
                started.origin.release(&versions_of("held"));
            }
            let answer =
                connection.read(method).await.unwrap_or_else(|| panic!("{code_path:?} {file}"));
            assert_eq!(
                answer.status,
                if file == "held" { 404 } else { 200 },
                "{code_path:?} {file}"
            );
        }
        assert!(connection.is_closed().await, "{code_path:?}");
        started.gateway.finish().await;
    }
}

#[tokio::test]
async fn how_slowly_a_client_reads_is_no_part_of_the_duration() {
    for code_path in CodePath::ALL {
        let started = Started::new(code_path.is_tls()).await;
        let mut wire = started.connect(code_path.is_tls()).await;
        wire.write_all(code_path.request("GET", "large", "Connection: close\r\n").as_bytes())
            .await
            .unwrap();
        wire.read_exact(&mut [0; 1000]).await.unwrap();
        started.gateway.clock.advance(Duration::from_secs(5));
        wire.read_to_end(&mut Vec::new()).await.unwrap();
        let seen = started.ends_with(Ending::Answered).await;
        assert_eq!(seen.duration, Duration::ZERO, "{code_path:?}");
        started.gateway.finish().await;
    }
    let started = Started::new(true).await;
    let mut frames = started.open_http2().await;
    frames.send(&[Frame::get(1, &versions_of("large"), &[("host", "a")])]).await;
    frames.find(|frame| frame.kind == DATA).await.unwrap();
    started.gateway.clock.advance(Duration::from_secs(5));
    frames.send(&[Frame::reset(1)]).await;
    let seen = started.ends_with(Ending::LeftDuringBody).await;
    assert_eq!(seen.duration, Duration::ZERO);
    drop(frames);
    started.gateway.finish().await;
}
