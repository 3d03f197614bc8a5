//! Benchmark of request collapsing: very many callers of one uncached file, and a slow upstream.
//!
//! It measures the number of upstream calls, the spread of the responses, and their delay after the
//! upstream's own response.
//!
//! `cargo bench --bench collapse` runs it twice. The first run stays within this process and shows
//! the time that the gateway takes to wake all waiters. The second run uses sockets on loopback,
//! where this process is the gateway and all its callers.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a measurement takes the real time, prints what it finds, and may fail loudly"
)]

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Empty};
use ikgate::app::{self, App};
use ikgate::clock::Clock;
use ikgate::config::{self, Settings};
use ikgate::sandbox::{DEFAULT_KEY, IMAGE_WITH_VERSIONS, Sandbox, SandboxSettings};
use ikgate::secret::Secret;
use ikgate::server::{self, Drain, PassedSockets, Server, ServerSettings};
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
        // A second call within a second would be refused, and so be noticed.
        rate: NonZeroU32::MIN,
        latency: LATENCY,
    };
    let sandbox = Arc::new(Sandbox::new(settings, Clock::system()));
    let limits = ServerSettings::internal();
    Server::new(sandbox, limits, Drain::default()).listen(vec![listener]);
    address
}

fn settings(upstream: SocketAddr) -> Settings {
    let text = format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\n[admin]\nlisten = \"127.0.0.1:0\"\n\
         [upstream]\nurl = \"http://{upstream}\"\n\
         [limits]\nanonymous = {{ per_second = 10000, burst = 10000 }}"
    );
    let key = (config::PRIVATE_KEY_VARIABLE.to_owned(), DEFAULT_KEY.to_owned());
    config::from_text(&text, Path::new(""), [key]).unwrap()
}

fn target() -> String {
    format!("/v1/files/{IMAGE_WITH_VERSIONS}/versions")
}

/// Instant at which a response was complete, and its duration.
type Answered = (Instant, Duration);

fn report(what: &str, answers: &[Answered]) {
    let first = answers.iter().map(|(at, _)| *at).min().unwrap();
    let last = answers.iter().map(|(at, _)| *at).max().unwrap();
    let mut took: Vec<_> = answers.iter().map(|(_, took)| *took).collect();
    took.sort_unstable();
    println!(
        "{what}: fastest {:.1?}, median {:.1?}, slowest {:.1?}; first and last answer {:.1?} apart",
        took.first().unwrap(),
        took.get(answers.len() / 2).unwrap(),
        took.last().unwrap(),
        last - first
    );
}

async fn in_process() {
    let gateway = app::gateway(settings(sandbox()), Vec::new(), &Clock::system()).unwrap();
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let gateway = Arc::clone(&gateway);
        callers.spawn(async move {
            let request = Request::get(target()).header("host", "a");
            let request = request.body(Empty::<Bytes>::new()).unwrap();
            let (peer, started) = (SocketAddr::from(([127, 0, 0, 1], 1)), Instant::now());
            let response = match gateway.answer(request, peer, None) {
                ControlFlow::Break(response) => response,
                ControlFlow::Continue(later) => later.await,
            };
            assert_eq!(response.status(), 200);
            drop(response.into_body().collect().await.unwrap());
            let ended = Instant::now();
            (ended, ended - started)
        });
    }
    report("in this process", &callers.join_all().await);
}

/// Sends one request and waits for the end of its response.
async fn ask(mut stream: TcpStream) -> Answered {
    let head = format!("GET {} HTTP/1.1\r\nHost: a\r\n\r\n", target());
    let started = Instant::now();
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::with_capacity(16 * 1024);
    // A list ends in its closing bracket.
    while !answer.ends_with(b"]") {
        assert!(stream.read_buf(&mut answer).await.unwrap() > 0, "closed");
    }
    let ended = Instant::now();
    assert!(answer.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&answer));
    (ended, ended - started)
}

async fn over_sockets() {
    let metrics = Arc::new(Metrics::new());
    let app =
        App::start(settings(sandbox()), &Clock::system(), metrics, None, PassedSockets::default())
            .unwrap();
    let mut connections = Vec::new();
    for _ in 0..CALLERS {
        connections.push(TcpStream::connect(app.public.first().unwrap()).await.unwrap());
    }
    let mut callers = JoinSet::new();
    for connection in connections {
        callers.spawn(ask(connection));
    }
    report("over sockets", &callers.join_all().await);
    app.shut_down().await;
}

async fn measure() {
    println!("{CALLERS} callers of one cold file, an upstream that takes {LATENCY:?}: all get 200");
    in_process().await;
    over_sockets().await;
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(measure());
}
