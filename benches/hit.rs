//! Benchmark of a cache hit within this process, without sockets: the single steps and the whole.
//!
//! `cargo bench --bench hit`
#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a benchmark may fail loudly")]

use std::hint::black_box;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use criterion::{Criterion, criterion_group, criterion_main};
use http::{Method, Request};
use http_body_util::{BodyExt as _, Empty};
use ikgate::app;
use ikgate::cache::{
    Cache, CacheSettings, Codings, FreshnessSettings, Join, Kind, Lookup, Origin, Reuse,
    StoredResponse,
};
use ikgate::clock::Clock;
use ikgate::config;
use ikgate::file_id::FileId;
use ikgate::gateway::{Attempt, Gateway};
use ikgate::route::{self, Operations};
use ikgate::telemetry::{Metrics, metrics_layer};
use tracing_subscriber::Registry;
use tracing_subscriber::layer::SubscriberExt as _;

const TARGET: &str = "/v1/files/64a1b2c3d4e5f60718293a4b/versions";
const IDS: u32 = 1000;

fn id(number: u32) -> FileId {
    FileId::parse(&format!("65{number:022x}")).unwrap()
}

fn list() -> Bytes {
    Bytes::from(format!("[\"{}\"]", "x".repeat(900)))
}

fn fill<E: Clone>(cache: &Arc<Cache<E>>, id: &FileId, now: Duration) {
    let Join::Leader(fill, _waiter) = cache.join(id, now) else { return };
    fill.finish(Arc::new(StoredResponse::new(Kind::List, list(), now)), Origin::Upstream);
}

fn route(criterion: &mut Criterion) {
    let operations = Operations::default();
    criterion.bench_function("route", |bencher| {
        bencher.iter(|| route::find(&operations, &Method::GET, black_box(TARGET), None));
    });
}

fn lookup(criterion: &mut Criterion) {
    let settings = CacheSettings {
        joinable_for: Duration::from_secs(12),
        max_bytes: 64 << 20,
        freshness: FreshnessSettings {
            ttl: Duration::from_hours(1),
            ttl_jitter_percent: 10,
            stale_while_revalidate: Duration::from_mins(5),
            stale_if_error: Duration::from_hours(1),
            not_found_ttl: Duration::from_secs(10),
            settle: Duration::from_secs(2),
        },
    };
    let cache = Cache::<()>::new(&settings);
    let ids: Vec<_> = (0..IDS).map(id).collect();
    for id in &ids {
        fill(&cache, id, Duration::ZERO);
    }
    let mut next = ids.iter().cycle();
    criterion.bench_function("cache lookup", |bencher| {
        bencher.iter(|| {
            let found = cache.lookup(next.next().unwrap(), Duration::ZERO);
            assert!(matches!(found, Lookup::Found { reuse: Reuse::Fresh { .. }, .. }));
        });
    });
}

fn gateway() -> Arc<Gateway> {
    let text = "[upstream]\nurl = \"http://127.0.0.1:1\"\n[cache]\nttl = \"1h\"\n\
                [limits]\nanonymous = { per_second = 1000000, burst = 1000000 }";
    let key = (config::PRIVATE_KEY_VARIABLE.to_owned(), "private_a=".to_owned());
    let settings = config::from_text(text, Path::new(""), [key]).unwrap();
    app::gateway(settings, Vec::new(), &Clock::system()).unwrap()
}

/// Measures a hit from the parsed request to the last byte of the response, with the usual features
/// on.
///
/// It runs once for a caller that accepts no coding, and once for a caller that is sent brotli.
/// Both stored bodies have the same size, so that only the negotiation differs.
fn whole(criterion: &mut Criterion) {
    let metrics = Arc::new(Metrics::new());
    let subscriber = Registry::default().with(metrics_layer(&metrics));
    let _counted = tracing::subscriber::set_default(subscriber);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let peer = SocketAddr::from(([127, 0, 0, 1], 1));
    for (name, accepted) in [("whole hit", None), ("whole hit, br", Some("gzip, deflate, br"))] {
        let gateway = gateway();
        for number in 0..IDS {
            let (id, now) = (id(number), gateway.clock.monotonic());
            let Join::Leader(fill, _waiter) = gateway.cache.join(&id, now) else { continue };
            let plain = StoredResponse::new(Kind::List, list(), now);
            let coded = accepted.map(|_| plain.with(Codings { brotli: Some(list()), gzip: None }));
            fill.finish(Arc::new(coded.unwrap_or(plain)), Origin::Upstream);
        }
        let requests: Vec<_> = (0..IDS)
            .map(|number| {
                let target = format!("/v1/files/{}/versions", id(number));
                let request = Request::get(target).header("host", "localhost:8080");
                accepted
                    .into_iter()
                    .fold(request, |request, codings| request.header("accept-encoding", codings))
            })
            .map(|request| request.body(Empty::<Bytes>::new()).unwrap())
            .collect();
        let mut next = requests.iter().cycle();
        criterion.bench_function(name, |bencher| {
            bencher.iter_batched(
                || next.next().unwrap().clone(),
                |request| {
                    runtime.block_on(async {
                        let response = match gateway.answer(request, peer, None) {
                            ControlFlow::Break(response) => response,
                            ControlFlow::Continue(later) => later.await,
                        };
                        assert_eq!(response.status(), 200);
                        response.into_body().collect().await.unwrap()
                    })
                },
                criterion::BatchSize::SmallInput,
            );
        });
    }
}

/// Measures a plain request from its bytes to the bytes of its response: once with metrics, and
/// once without a subscriber for the gateway's events.
fn plain(criterion: &mut Criterion) {
    let gateway = gateway();
    for number in 0..IDS {
        fill(&gateway.cache, &id(number), gateway.clock.monotonic());
    }
    let peer = SocketAddr::from(([127, 0, 0, 1], 1));
    let request = |number| {
        format!("GET /v1/files/{}/versions HTTP/1.1\r\nHost: localhost\r\n\r\n", id(number))
    };
    let requests: Vec<_> = (0..IDS).map(request).collect();
    let metrics = Arc::new(Metrics::new());
    let counted = tracing::Dispatch::new(Registry::default().with(metrics_layer(&metrics)));
    for (name, listener) in
        [("plain hit", counted), ("plain hit, nobody listens", tracing::Dispatch::none())]
    {
        let _listening = tracing::dispatcher::set_default(&listener);
        let (mut next, mut head) = (requests.iter().cycle(), Vec::new());
        criterion.bench_function(name, |bencher| {
            bencher.iter(|| {
                head.clear();
                let received = next.next().unwrap().as_bytes();
                let attempt = gateway.try_hit(received, peer, false, &mut head);
                let hit = if let Attempt::Hit(hit) = attempt { Some(hit) } else { None };
                let mut body = hit.unwrap().body;
                body.advance(body.remaining());
            });
        });
    }
}

criterion_group!(hit, route, lookup, plain, whole);
criterion_main!(hit);
