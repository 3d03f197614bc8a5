//! Tests of the upstream call budget: queueing by priority, and the response when it is spent.

use std::time::Duration;

use ikgate::caller::KeyDigest;

use serde_json::json;

use crate::support::{Connection, Origin, Reply, TestGateway, get, versions_of};

const KEY: [(&str, &str); 1] = [("Authorization", "Bearer ikg_key")];

fn budget(per_second: u32, burst: u32) -> String {
    format!("upstream.budget = {{ per_second = {per_second}, burst = {burst} }}")
}

fn team() -> String {
    let digest = KeyDigest::of("ikg_key");
    format!("\n[[callers]]\nname = \"team\"\nkey_sha256 = \"{digest}\"")
}

async fn started(more: &str) -> (Origin, TestGateway) {
    let origin = Origin::start().await;
    for file in ["a", "b", "c", "d", "e", "f"] {
        origin.replies(&versions_of(file), Reply::json(200, "[]"));
    }
    let gateway = TestGateway::configured(&origin, more);
    (origin, gateway)
}

async fn status(gateway: &TestGateway, file: &str) -> u16 {
    gateway.get(&versions_of(file)).await.status
}

#[tokio::test]
async fn a_fill_waits_for_a_second_at_most_and_others_are_told_when_to_come_back() {
    let (origin, gateway) = started(&budget(1, 1)).await;
    assert_eq!(status(&gateway, "a").await, 200);
    let mut second = gateway.ask("b").await;
    gateway.has_waiting("b", 1).await;
    let spent = gateway.get(&versions_of("c")).await;
    assert_eq!((spent.status, spent.code().as_str()), (503, "upstream_busy"));
    for (name, value) in [
        ("retry-after", "2"),
        ("retry-after-ms", "2000"),
        ("x-ratelimit-limit", "1"),
        ("x-ratelimit-interval", "1000"),
        ("x-ratelimit-reset", "2000"),
        ("cache-status", "ikgate; fwd=uri-miss"),
    ] {
        assert_eq!(spent.field(name), value, "{name}");
    }
    assert_eq!(origin.requests().len(), 1);
    assert_eq!(gateway.metric("ikgate_upstream_budget_available").await, Some(0.0));
    gateway.clock.advance(Duration::from_secs(1));
    assert_eq!(second.read("GET").await.unwrap().status, 200);
    drop(second);
    gateway.clock.advance(Duration::from_secs(2));
    assert_eq!(status(&gateway, "c").await, 200, "as told");
    gateway.finish().await;
}

#[tokio::test]
async fn hits_and_stale_answers_flow_while_nothing_is_left() {
    let more = budget(1, 1) + "\n[cache]\nttl = \"10s\"\nstale_while_revalidate = \"1h\"";
    let (origin, gateway) = started(&more).await;
    assert_eq!(status(&gateway, "a").await, 200);
    gateway.clock.advance(Duration::from_secs(15));
    assert_eq!(status(&gateway, "b").await, 200);
    for _ in 0..5 {
        let stale = gateway.get(&versions_of("a")).await;
        assert_eq!(stale.field("cache-status"), "ikgate; hit; ttl=-5");
        let hit = gateway.get(&versions_of("b")).await;
        assert_eq!(hit.field("cache-status"), "ikgate; hit; ttl=10");
    }
    assert_eq!(origin.requests_for(&versions_of("a")), 1, "no refresh for want of budget");
    gateway.clock.advance(Duration::from_secs(1));
    gateway.get(&versions_of("a")).await;
    origin.has_seen(&versions_of("a"), 2).await;
    gateway.is_settled("a").await;
    gateway.finish().await;
}

#[tokio::test]
async fn callers_without_a_key_leave_something_to_those_with_one() {
    let (_origin, gateway) = started(&(budget(1, 4) + &team())).await;
    for file in ["a", "b", "c"] {
        assert_eq!(status(&gateway, file).await, 200, "{file}");
    }
    // One call is left, but not for an anonymous caller: its request waits, up to a second.
    let mut anonymous = gateway.ask("d").await;
    gateway.has_waiting("d", 1).await;
    let team = gateway.send("GET", &versions_of("e"), &KEY).await;
    assert_eq!(team.status, 200, "{team:#?}");
    gateway.clock.advance(Duration::from_secs(1));
    let late = anonymous.read("GET").await.unwrap();
    assert_eq!((late.status, late.code().as_str()), (503, "upstream_busy"));
    drop(anonymous);
    gateway.finish().await;
}

#[tokio::test]
async fn a_caller_with_a_key_does_not_fail_with_a_fill_that_gave_way() {
    let (origin, gateway) = started(&(budget(1, 4) + &team())).await;
    for file in ["a", "b", "c"] {
        assert_eq!(status(&gateway, file).await, 200, "{file}");
    }
    let mut anonymous = gateway.ask("d").await;
    gateway.has_waiting("d", 1).await;
    let mut team = Connection::open(gateway.public).await;
    let head =
        "GET /v1/files/d/versions HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ikg_key\r\n\r\n";
    team.write(head).await;
    gateway.has_waiting("d", 2).await;
    // A caller with a key takes the call that is refilled meanwhile.
    assert_eq!(gateway.send("GET", &versions_of("e"), &KEY).await.status, 200);
    gateway.clock.advance(Duration::from_secs(1));
    assert_eq!(anonymous.read("GET").await.unwrap().status, 503);
    let answer = team.read("GET").await.unwrap();
    assert_eq!(answer.status, 200, "{answer:#?}");
    assert_eq!(origin.requests_for(&versions_of("d")), 1);
    drop((anonymous, team));
    gateway.finish().await;
}

#[tokio::test]
async fn where_no_caller_has_a_key_each_may_spend_everything() {
    let (_origin, gateway) = started(&budget(1, 4)).await;
    for file in ["a", "b", "c", "d"] {
        assert_eq!(status(&gateway, file).await, 200, "{file}");
    }
    gateway.finish().await;
}

#[tokio::test]
async fn a_429_stops_everything_for_as_long_as_it_says_and_one_call_finds_out_whether_it_is_over() {
    let (origin, gateway) = started("upstream.budget.burst = 100").await;
    origin.replies(&versions_of("a"), Reply::with_fields(429, "X-RateLimit-Reset: 3000\r\n", "{}"));
    assert_eq!(gateway.get(&versions_of("a")).await.field("retry-after-ms"), "3000");
    gateway.clock.advance(Duration::from_secs(1));
    let paused = gateway.get(&versions_of("b")).await;
    assert_eq!((paused.code().as_str(), paused.field("retry-after-ms")), ("upstream_busy", "2000"));
    assert_eq!(origin.requests().len(), 1);
    gateway.clock.advance(Duration::from_secs(2));
    origin.hold(&versions_of("b"));
    let mut probe = gateway.ask("b").await;
    origin.has_seen(&versions_of("b"), 1).await;
    let mut behind = gateway.ask("c").await;
    gateway.has_waiting("c", 1).await;
    gateway.clock.advance(Duration::from_millis(100));
    assert_eq!(origin.requests_for(&versions_of("c")), 0, "one alone");
    origin.release(&versions_of("b"));
    assert_eq!(probe.read("GET").await.unwrap().status, 200);
    gateway.clock.advance(Duration::from_millis(100));
    assert_eq!(behind.read("GET").await.unwrap().status, 200);
    drop((probe, behind));
    gateway.finish().await;
}

#[tokio::test]
async fn retry_after_is_obeyed_in_seconds_and_as_a_date_on_a_429_and_on_a_503() {
    let date =
        "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nRetry-After: Sun, 06 Nov 1994 08:49:40 GMT\r\n";
    let longer = "X-RateLimit-Reset: 1000\r\nRetry-After: 3\r\n";
    // The test's clock begins at 01:46:40.
    let dateless = "Retry-After: Sun, 09 Sep 2001 01:46:43 GMT\r\n";
    for status in [429, 503] {
        for fields in ["Retry-After: 3\r\n", date, dateless, longer] {
            let (origin, gateway) = started("upstream.budget.burst = 100").await;
            origin.replies(&versions_of("a"), Reply::with_fields(status, fields, "{}"));
            gateway.get(&versions_of("a")).await;
            // A fill waits for a budget that is due within a second.
            gateway.clock.advance(Duration::from_millis(1999));
            let paused = gateway.get(&versions_of("b")).await;
            assert_eq!(paused.field("retry-after-ms"), "1001", "{status} {fields:?}");
            assert_eq!(origin.requests().len(), 1, "{status} {fields:?}");
            gateway.clock.advance(Duration::from_millis(1001));
            assert_eq!(gateway.get(&versions_of("b")).await.status, 200);
            gateway.finish().await;
        }
    }
}

/// A proxy in front of the upstream may answer 503 for a moment. The window's fields, which come with
/// each response, are no request to wait.
#[tokio::test]
async fn a_503_without_retry_after_stops_no_other_call() {
    let (origin, gateway) = started("upstream.retries.max = 0").await;
    let fields = "X-RateLimit-Limit: 100\r\nX-RateLimit-Reset: 60000\r\n";
    origin.replies(&versions_of("a"), Reply::with_fields(503, fields, "{}"));
    assert_eq!(status(&gateway, "a").await, 502);
    assert_eq!(status(&gateway, "b").await, 200);
    gateway.finish().await;
}

#[tokio::test]
async fn what_the_upstream_says_of_itself_is_kept_to() {
    let (origin, gateway) = started("upstream.budget.burst = 100").await;
    let fields = "X-RateLimit-Limit: 2\r\nX-RateLimit-Reset: 1\r\nX-RateLimit-Interval: 10000\r\n";
    origin.replies(&versions_of("a"), Reply::with_fields(200, fields, "[]"));
    assert_eq!(status(&gateway, "a").await, 200);
    assert_eq!(status(&gateway, "b").await, 200);
    let spent = gateway.get(&versions_of("c")).await;
    assert_eq!((spent.status, spent.field("retry-after-ms")), (503, "10200"));
    assert_eq!(spent.field("x-ratelimit-limit"), "2");
    gateway.clock.advance(Duration::from_millis(10_200));
    assert_eq!(status(&gateway, "c").await, 200, "as told");
    assert_eq!(origin.requests().len(), 3);
    gateway.finish().await;
}

#[tokio::test]
async fn operators_see_which_limit_is_in_force() {
    let (origin, gateway) = started(&budget(40, 100)).await;
    let limit = async || {
        let stats = get(gateway.admin, "/api/stats").await.json();
        stats["health"]["upstream"]["budget_limit"].clone()
    };
    let configured = json!({ "set_by": "configured", "per_second": 40.0, "burst": 100 });
    assert_eq!(limit().await, configured);
    let fields = "X-RateLimit-Limit: 10\r\nX-RateLimit-Interval: 4000\r\n";
    origin.replies(&versions_of("a"), Reply::with_fields(200, fields, "[]"));
    assert_eq!(status(&gateway, "a").await, 200);
    assert_eq!(limit().await, json!({ "set_by": "imagekit", "per_second": 2.5, "burst": 10 }));
    gateway.finish().await;
}

#[tokio::test]
async fn retries_spend_from_the_budget_and_stop_with_it() {
    let more = "[upstream]\nbudget = { per_second = 1, burst = 2 }\nretries.max = 9";
    let (origin, gateway) = started(more).await;
    origin.replies(&versions_of("a"), Reply::json(503, "{}"));
    let mut failed = Connection::open(gateway.public).await;
    failed.write(format!("GET {} HTTP/1.1\r\nHost: a\r\n\r\n", versions_of("a"))).await;
    origin.has_seen(&versions_of("a"), 2).await;
    while gateway.metric("ikgate_upstream_requests_total{outcome=\"bad\"}").await != Some(2.0) {}
    assert_eq!(gateway.metric("ikgate_upstream_budget_available").await, Some(0.0));
    assert_eq!(origin.requests_for(&versions_of("a")), 2, "the third try waits");
    gateway.clock.advance(Duration::from_secs(1));
    origin.has_seen(&versions_of("a"), 3).await;
    drop(failed);
}
