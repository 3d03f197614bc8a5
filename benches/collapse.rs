//! Very many callers of one cold file, an upstream that takes its time: how many calls leave, how
//! far apart the answers come, and how much later than the upstream's own.
//!
//! `cargo bench --bench collapse`: real sockets on loopback, everything in one process.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a measurement takes the real time, prints what it finds, and may fail loudly"
)]

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ikgate::app::App;
use ikgate::clock::Clock;
use ikgate::config;
use ikgate::sandbox::{DEFAULT_KEY, IMAGE_WITH_VERSIONS, Sandbox, SandboxSettings};
use ikgate::secret::Secret;
use ikgate::server::{self, Drain, Server, ServerSettings};
use ikgate::telemetry::Metrics;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

const CALLERS: usize = 500;
const LATENCY: Duration = Duration::from_millis(200);

fn sandbox() -> SocketAddr {
    let listener = server::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let address = listener.local_addr().unwrap();
    let settings = SandboxSettings {
        key: Secret::new(DEFAULT_KEY.to_owned()),
        // The second call within a second would be refused, and seen.
        rate: NonZeroU32::MIN,
        latency: LATENCY,
    };
    let sandbox = Arc::new(Sandbox::new(settings, Clock::system()));
    let limits = ServerSettings { max_connections: 64, max_head_bytes: 16 * 1024 };
    Server::new(sandbox, limits, Drain::default()).listen(listener);
    address
}

fn gateway(upstream: SocketAddr) -> App {
    let text = format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\n[admin]\nlisten = \"127.0.0.1:0\"\n\
         [upstream]\nurl = \"http://{upstream}\"\n\
         [limits]\nanonymous = {{ per_second = 10000, burst = 10000 }}"
    );
    let key = (config::PRIVATE_KEY_VARIABLE.to_owned(), DEFAULT_KEY.to_owned());
    let settings = config::from_text(&text, Path::new(""), [key]).unwrap();
    App::start(settings, &Clock::system(), Arc::new(Metrics::new([])), None).unwrap()
}

/// Sends one request and waits for the end of its answer.
async fn ask(mut stream: TcpStream) -> (Instant, Duration) {
    let head = format!(
        "GET /v1/files/{IMAGE_WITH_VERSIONS}/versions HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    );
    let started = Instant::now();
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let ended = Instant::now();
    assert!(answer.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&answer));
    (ended, ended - started)
}

async fn measure() {
    let app = gateway(sandbox());
    let mut connections = Vec::new();
    for _ in 0..CALLERS {
        connections.push(TcpStream::connect(app.public.first().unwrap()).await.unwrap());
    }
    let mut callers = JoinSet::new();
    for connection in connections {
        callers.spawn(ask(connection));
    }
    let answers = callers.join_all().await;
    let first = answers.iter().map(|(at, _)| *at).min().unwrap();
    let last = answers.iter().map(|(at, _)| *at).max().unwrap();
    let mut took: Vec<_> = answers.iter().map(|(_, took)| *took).collect();
    took.sort_unstable();
    println!(
        "{CALLERS} callers of one cold file, an upstream that takes {LATENCY:?}: all 200\n\
         fastest {:.1?}, median {:.1?}, slowest {:.1?}; first and last answer {:.1?} apart",
        took.first().unwrap(),
        took.get(CALLERS / 2).unwrap(),
        took.last().unwrap(),
        last - first
    );
    app.shut_down().await;
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(measure());
}
