//! Fuzz target of request pipelines: the fast path, with its hand-over to hyper, answers the same
//! bytes in the same way as hyper alone.
#![no_main]

use std::cell::Cell;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use ikgate::cache::{Codings, Join, Kind, Origin, StoredResponse};
use ikgate::clock::Clock;
use ikgate::file_id::FileId;
use ikgate::gateway::{Attempt, DecidedRequest, Gateway};
use ikgate::{app, config};
use libfuzzer_sys::fuzz_target;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
use tokio::runtime::Runtime;

const PEER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 1);

/// Limit of a pipeline, in bytes.
const SENT_MAX: usize = 4096;

/// Limit of its responses, in bytes.
const RECEIVED_MAX: usize = 1 << 20;

/// Configuration in which every response is a refusal or stored: a miss finds no upstream, and soon
/// an open circuit breaker. The clock stands still, so no limit that refills with time may be used
/// up.
const CONFIGURATION: &str = "\
    [server]\ntrusted_proxies = [\"127.0.0.1\"]\n\
    [upstream]\nurl = \"http://127.0.0.1:1\"\nretries.max = 0\nbudget = { per_second = 100000, burst = 100000 }\n\
    [cache]\nttl = \"1h\"\nttl_jitter_percent = 0\n\
    [limits]\nanonymous = { per_second = 1000000, burst = 1000000 }\n\
    auth_failures = { per_second = 1000000, burst = 1000000 }\n\
    [cors]\nallowed_origins = [\"https://page.example\"]\n";

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
});

/// Gateways for the fast path and for hyper alone, with the same stored lists.
static GATEWAYS: LazyLock<[Arc<Gateway>; 2]> = LazyLock::new(|| [gateway(), gateway()]);

fn gateway() -> Arc<Gateway> {
    let key = (config::PRIVATE_KEY_VARIABLE.to_owned(), "private_a=".to_owned());
    let settings = config::from_text(CONFIGURATION, Path::new(""), [key]).expect("it is right");
    let gateway = app::gateway(settings, Vec::new(), &Clock::manual()).expect("no TLS");
    let list = Bytes::from(format!("[{}]", ["{\"versionInfo\":{\"id\":\"v\"}}"; 60].join(",")));
    for (id, kind) in [("a", Kind::List), ("b", Kind::NotFound)] {
        let id = FileId::parse(id).expect("an id");
        let Join::Leader(fill, _waiter) = gateway.cache.join(&id, Duration::ZERO) else { continue };
        let response = StoredResponse::new(kind, list.clone(), Duration::ZERO);
        let response =
            if kind == Kind::List { response.with(Codings::of(&list)) } else { response };
        fill.finish(Arc::new(response), Origin::Upstream);
    }
    gateway
}

/// Returns hyper's responses. The first request may have begun on the fast path.
async fn through_hyper(
    gateway: &Arc<Gateway>,
    sent: &[u8],
    begun: Option<DecidedRequest>,
) -> Vec<u8> {
    let (mut client, server) = duplex(RECEIVED_MAX);
    client.write_all(sent).await.expect("there is room");
    client.shutdown().await.expect("it is open");
    let begun = Cell::new(begun);
    let service = service_fn(|request| {
        let answer = gateway.answer(request, PEER, begun.take());
        async {
            Ok::<_, Infallible>(match answer {
                ControlFlow::Break(response) => response,
                ControlFlow::Continue(later) => later.await,
            })
        }
    });
    _ = http1::Builder::new()
        .pipeline_flush(false)
        // The end of the input is the only end of the connection here.
        .half_close(true)
        .serve_connection(TokioIo::new(server), service)
        .await;
    let mut received = Vec::new();
    client.read_to_end(&mut received).await.expect("it is closed");
    received
}

/// Returns the responses with the fast path first, as a connection uses it.
async fn fast_path_first(gateway: &Arc<Gateway>, mut sent: &[u8]) -> Vec<u8> {
    let mut received = Vec::new();
    while !sent.is_empty() {
        let mut head = Vec::new();
        match gateway.try_hit(sent, PEER, false, &mut head) {
            Attempt::Hit(mut hit) => {
                received.extend(head);
                received.extend(hit.body.copy_to_bytes(hit.body.remaining()));
                sent = &sent[hit.length..];
                if hit.close {
                    return received;
                }
            }
            Attempt::Decided(begun) => {
                received.extend(through_hyper(gateway, sent, Some(begun)).await);
                return received;
            }
            Attempt::NotPlain => {
                received.extend(through_hyper(gateway, sent, None).await);
                return received;
            }
        }
    }
    received
}

/// Returns the sorted lines of a response, without the values that differ each time. The order of
/// fields is not fixed, because a map holds them.
fn comparable(received: &[u8]) -> Vec<String> {
    let own = ["date: ", "x-request-id: ", "ratelimit: "];
    let text = String::from_utf8_lossy(received);
    // The kind of upstream failure differs from call to call.
    if text.contains("HTTP/1.1 5") || text.contains("HTTP/1.1 429") {
        return text.matches("HTTP/1.1 ").map(str::to_owned).collect();
    }
    let mut lines: Vec<_> = text
        .split("\r\n")
        .filter(|line| !own.iter().any(|name| line.starts_with(name)))
        .map(str::to_owned)
        .collect();
    lines.sort();
    lines
}

fuzz_target!(|sent: &[u8]| {
    let sent = &sent[..sent.len().min(SENT_MAX)];
    let [first, second] = &*GATEWAYS;
    RUNTIME.block_on(async {
        let found = fast_path_first(first, sent).await;
        let expected = through_hyper(second, sent, None).await;
        assert_eq!(
            comparable(&found),
            comparable(&expected),
            "{:?}",
            String::from_utf8_lossy(sent)
        );
    });
});
