//! Stress test of acknowledged purges against readers on all threads of the machine.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use ikgate::app::App;
use ikgate::clock::Clock;
use ikgate::config;
use ikgate::server::PassedSockets;
use ikgate::telemetry::Metrics;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::support::{Connection, FILE, versions_of};

const READERS: usize = 16;
const ROUNDS: u64 = 3_000;

/// Starts an upstream whose list says how often the file has changed.
async fn upstream(version: Arc<AtomicU64>) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let version = Arc::clone(&version);
            tokio::spawn(async move {
                let mut head = [0; 1024];
                // The gateway sends a head in one piece, and the next one after the response.
                while stream.read(&mut head).await.is_ok_and(|length| length > 0) {
                    let body = format!("[{}]", version.load(Ordering::SeqCst));
                    // Responses overtake each other, so a version may be old when it is sent.
                    tokio::task::yield_now().await;
                    let length = body.len();
                    let answer =
                        format!("HTTP/1.1 200 X\r\nContent-Length: {length}\r\n\r\n{body}");
                    if stream.write_all(answer.as_bytes()).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

fn gateway(upstream: std::net::SocketAddr) -> App {
    let text = format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\n[admin]\nlisten = \"127.0.0.1:0\"\n\
         [upstream]\nurl = \"http://{upstream}\"\n\
         budget = {{ per_second = 1000000, burst = 1000000 }}\n\
         [limits]\nanonymous = {{ per_second = 1000000, burst = 1000000 }}"
    );
    let key = (config::PRIVATE_KEY_VARIABLE.to_owned(), "private_a=".to_owned());
    let settings = config::from_text(&text, std::path::Path::new(""), [key]).unwrap();
    App::start(settings, &Clock::system(), Arc::new(Metrics::new()), None, PassedSockets::default())
        .unwrap()
}

/// Reads until it is told to stop. A response must be at least as new as the last version that was
/// acknowledged before its request was sent.
async fn read(
    address: std::net::SocketAddr,
    acknowledged: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
) -> u64 {
    let mut connection = Connection::open(address).await;
    let request = format!("GET {} HTTP/1.1\r\nHost: a\r\n\r\n", versions_of(FILE));
    let mut reads = 0;
    while !stop.load(Ordering::SeqCst) {
        let least = acknowledged.load(Ordering::SeqCst);
        connection.write(&request).await;
        let answer = connection.read("GET").await.unwrap();
        let version: u64 = answer.body.trim_matches(['[', ']']).parse().unwrap();
        assert!(version >= least, "{version} after {least} was acknowledged: {answer:#?}");
        reads += 1;
    }
    reads
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_read_that_begins_after_a_purge_was_acknowledged_is_older_than_it() {
    // Threads without a subscriber switch events off for other tests, whose metrics come from
    // events. This subscriber receives all events and does nothing.
    _ = tracing::subscriber::set_global_default(tracing_subscriber::registry());
    let version = Arc::new(AtomicU64::new(0));
    let app = gateway(upstream(Arc::clone(&version)).await);
    let (acknowledged, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let readers: Vec<_> = (0..READERS)
        .map(|_| {
            let (acknowledged, stop) = (Arc::clone(&acknowledged), Arc::clone(&stop));
            tokio::spawn(read(app.public[0], acknowledged, stop))
        })
        .collect();
    let mut operator = Connection::open(app.admin).await;
    for round in 1..=ROUNDS {
        version.store(round, Ordering::SeqCst);
        // Mostly purges of one file, sometimes of every file.
        let target = if round % 7 == 0 { String::new() } else { format!("/{FILE}") };
        let purge = format!("DELETE /api/cache{target} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
        operator.write(purge).await;
        assert_eq!(operator.read("DELETE").await.unwrap().status, 200);
        acknowledged.store(round, Ordering::SeqCst);
    }
    stop.store(true, Ordering::SeqCst);
    for reader in readers {
        assert!(reader.await.unwrap() > 0);
    }
    app.shut_down().await;
}
