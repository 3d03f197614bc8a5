//! Tests of upstream outages: retries, the circuit breaker, and a refused private key.

use std::time::Duration;

use crate::support::{Origin, Reply, TestGateway, scratch, versions_of};

async fn started(more: &str) -> (Origin, TestGateway) {
    let origin = Origin::start().await;
    let gateway = TestGateway::configured(&origin, more);
    (origin, gateway)
}

fn calls(outcome: &str) -> String {
    format!("ikgate_upstream_requests_total{{outcome=\"{outcome}\"}}")
}

#[tokio::test]
async fn what_may_go_better_is_tried_again_and_no_caller_notices() {
    for (name, failure) in [
        ("reset", Reply::BytesThenReset(Vec::new())),
        ("502", Reply::json(502, "{}")),
        ("503", Reply::json(503, "<html>")),
        ("504", Reply::json(504, "")),
    ] {
        let (origin, gateway) = started("upstream.retries.max = 2").await;
        let path = versions_of("a");
        origin.gate(&path);
        let mut asked = gateway.ask("a").await;
        for before in 0..2 {
            origin.has_seen(&path, before + 1).await;
            origin.answer(&path, before, failure.clone());
        }
        origin.has_seen(&path, 3).await;
        origin.answer(&path, 2, Reply::json(200, "[1]"));
        let answer = asked.read("GET").await.unwrap();
        assert_eq!((answer.status, answer.body.as_str()), (200, "[1]"), "{name}");
        drop(asked);
        gateway.finish().await;
    }
}

/// Even without retries: the upstream may close an idle connection at any moment.
#[tokio::test]
async fn a_used_connection_that_closes_under_a_request_is_replaced_once_and_silently() {
    let more = "[upstream]\nretries.max = 0\nbreaker.failures = 1";
    let (origin, gateway) = started(more).await;
    let path = versions_of("a");
    origin.gate(&path);
    let mut asked = gateway.ask("b").await;
    assert_eq!(asked.read("GET").await.unwrap().status, 404, "now there is a used connection");
    asked = gateway.ask("a").await;
    origin.has_seen(&path, 1).await;
    origin.answer(&path, 0, Reply::BytesThenReset(Vec::new()));
    origin.has_seen(&path, 2).await;
    origin.answer(&path, 1, Reply::json(200, "[1]"));
    assert_eq!(asked.read("GET").await.unwrap().body, "[1]");
    assert_eq!(gateway.metric("ikgate_upstream_breaker_state").await, Some(0.0));
    // A new connection that closes is a failure.
    gateway.purge("/api/cache").await;
    asked = gateway.ask("a").await;
    origin.has_seen(&path, 3).await;
    origin.answer(&path, 2, Reply::BytesThenReset(Vec::new()));
    origin.has_seen(&path, 4).await;
    origin.answer(&path, 3, Reply::BytesThenReset(Vec::new()));
    assert_eq!(asked.read("GET").await.unwrap().code(), "upstream_unreachable");
    assert_eq!(gateway.metric("ikgate_upstream_breaker_state").await, Some(2.0));
    drop(asked);
    gateway.finish().await;
}

/// The addresses of a name may change. A gateway that keeps connections for ever would not notice.
#[tokio::test]
async fn a_connection_is_used_again_but_not_for_longer_than_five_minutes() {
    let (origin, gateway) = started("").await;
    for (seconds, expected) in [(0, 1), (299, 1), (1, 2), (1, 2)] {
        gateway.clock.advance(Duration::from_secs(seconds));
        gateway.purge("/api/cache").await;
        assert_eq!(gateway.get(&versions_of("a")).await.status, 404);
        assert_eq!(origin.connections(), expected, "after {seconds} seconds more");
    }
    gateway.finish().await;
}

#[tokio::test]
async fn what_would_not_go_better_is_asked_once() {
    for (status, body) in
        [(200, "{}"), (400, "{}"), (401, "{}"), (404, "{}"), (429, "{}"), (500, "")]
    {
        let (origin, gateway) = started("upstream.retries.max = 2").await;
        let path = versions_of("a");
        origin.replies(&path, Reply::json(status, body));
        gateway.get(&path).await;
        assert_eq!(origin.requests_for(&path), 1, "{status}");
        gateway.finish().await;
    }
}

#[tokio::test]
async fn after_failures_in_a_row_no_call_leaves_until_one_probe_comes_back() {
    let more = "upstream.breaker = { failures = 2, open_for = \"5s\" }\n\
                [cache]\nttl = \"10s\"\nstale_while_revalidate = \"0s\"";
    let (origin, gateway) = started(more).await;
    origin.replies(&versions_of("stored"), Reply::json(200, "[1]"));
    gateway.get(&versions_of("stored")).await;
    gateway.clock.advance(Duration::from_secs(20));
    for file in ["a", "b"] {
        origin.replies(&versions_of(file), Reply::json(500, "{}"));
        assert_eq!(gateway.get(&versions_of(file)).await.code(), "upstream_bad");
    }
    assert_eq!(gateway.metric("ikgate_upstream_breaker_state").await, Some(2.0));
    let stopped = gateway.get(&versions_of("c")).await;
    assert_eq!((stopped.status, stopped.code().as_str()), (503, "upstream_busy"));
    assert_eq!((stopped.field("retry-after"), stopped.field("retry-after-ms")), ("5", "5000"));
    let stale = gateway.get(&versions_of("stored")).await;
    assert_eq!(stale.field("cache-status"), "ikgate; fwd=stale; detail=stale-if-error");
    assert_eq!(origin.requests().len(), 3, "neither left");

    gateway.clock.advance(Duration::from_secs(5));
    origin.hold(&versions_of("c"));
    let mut probe = gateway.ask("c").await;
    origin.has_seen(&versions_of("c"), 1).await;
    assert_eq!(gateway.metric("ikgate_upstream_breaker_state").await, Some(1.0));
    assert_eq!(gateway.get(&versions_of("d")).await.code(), "upstream_busy", "one at a time");
    origin.release(&versions_of("c"));
    assert_eq!(probe.read("GET").await.unwrap().status, 404, "the upstream works");
    assert_eq!(gateway.metric("ikgate_upstream_breaker_state").await, Some(0.0));
    assert_eq!(gateway.get(&versions_of("d")).await.status, 404);
    drop(probe);
    gateway.finish().await;
}

/// Starts a gateway that reads its key from a file.
async fn with_key_file() -> (Origin, TestGateway, tempfile::TempDir) {
    let directory = scratch();
    let file = directory.path().join("imagekit.key");
    std::fs::write(&file, "private_old=").unwrap();
    let origin = Origin::start().await;
    let gateway = TestGateway::with_key_file(&origin, &file);
    (origin, gateway, directory)
}

/// Replaces the key file atomically, as Kubernetes does: no reader sees half of it.
fn roll_key(directory: &tempfile::TempDir) {
    let next = directory.path().join("next");
    std::fs::write(&next, "private_new=\n").unwrap();
    std::fs::rename(&next, directory.path().join("imagekit.key")).unwrap();
}

#[tokio::test]
async fn a_rolled_key_is_read_when_the_old_one_is_refused_and_the_call_repeated() {
    let (origin, gateway, directory) = with_key_file().await;
    let path = versions_of("a");
    origin.gate(&path);
    let mut asked = gateway.ask("a").await;
    origin.has_seen(&path, 1).await;
    roll_key(&directory);
    origin.answer(&path, 0, Reply::json(403, "{}"));
    origin.has_seen(&path, 2).await;
    origin.answer(&path, 1, Reply::json(200, "[1]"));
    assert_eq!(asked.read("GET").await.unwrap().status, 200);
    let heads = origin.requests();
    // printf 'private_old=:' | base64
    assert!(heads[0].contains("Basic cHJpdmF0ZV9vbGQ9Og=="), "{heads:?}");
    assert!(heads[1].contains("Basic cHJpdmF0ZV9uZXc9Og=="), "{heads:?}");
    drop(asked);
    gateway.finish().await;
}

#[tokio::test]
async fn a_key_that_is_refused_again_and_again_is_only_probed() {
    let (origin, gateway, directory) = with_key_file().await;
    for file in ["a", "b", "c", "d", "e", "f"] {
        origin.replies(&versions_of(file), Reply::json(403, "{}"));
    }
    for file in ["a", "b", "c", "d"] {
        let refused = gateway.get(&versions_of(file)).await;
        assert_eq!((refused.status, refused.code().as_str()), (502, "upstream_auth"), "{file}");
        assert_eq!(refused.field("x-should-retry"), "false");
        let came_back = refused.field("cache-status").contains("fwd-status=403");
        assert_eq!(came_back, file != "d", "the fourth did not leave");
    }
    assert_eq!(gateway.metric(&calls("auth")).await, Some(3.0));
    gateway.clock.advance(Duration::from_secs(10));
    assert_eq!(gateway.get(&versions_of("e")).await.code(), "upstream_auth");
    assert_eq!(gateway.get(&versions_of("f")).await.code(), "upstream_auth");
    assert_eq!(gateway.metric(&calls("auth")).await, Some(4.0), "one probe");
    // A changed key is tried when the file watcher sees it, long before the next probe.
    roll_key(&directory);
    origin.replies(&versions_of("f"), Reply::json(200, "[1]"));
    gateway.clock.advance(Duration::from_secs(5));
    let answered = async { while gateway.get(&versions_of("f")).await.status != 200 {} };
    tokio::time::timeout(Duration::from_secs(20), answered).await.expect("never tried");
    assert_eq!(gateway.metric(&calls("auth")).await, Some(4.0), "with the new key alone");
    gateway.finish().await;
}
