//! Tests of stale responses: stale-while-revalidate and stale-if-error.

use std::time::Duration;

use crate::support::{FILE, Origin, Reply, TestGateway, versions_of};

const MINUTE: Duration = Duration::from_mins(1);

/// Starts a gateway that has `[1]` stored, and an origin that now answers `[2]`.
async fn with_a_list(more: &str) -> (Origin, TestGateway, String) {
    let origin = Origin::start().await;
    let path = versions_of(FILE);
    origin.replies(&path, Reply::json(200, "[1]"));
    let gateway = TestGateway::configured(&origin, more);
    gateway.get(&path).await;
    origin.replies(&path, Reply::json(200, "[2]"));
    (origin, gateway, path)
}

#[tokio::test]
async fn a_stale_list_is_answered_at_once_while_one_refresh_is_under_way() {
    let (origin, gateway, path) = with_a_list("").await;
    gateway.clock.advance(MINUTE + Duration::from_millis(500));
    origin.hold(&path);
    for _ in 0..5 {
        let stale = gateway.get(&path).await;
        assert_eq!((stale.status, stale.body.as_str()), (200, "[1]"));
        assert_eq!(stale.field("cache-status"), "ikgate; hit; ttl=-1");
        assert_eq!(stale.field("cache-control"), "private, no-cache");
        assert_eq!(stale.field("age"), "60");
    }
    origin.has_seen(&path, 2).await;
    origin.release(&path);
    gateway.is_settled(FILE).await;
    let fresh = gateway.get(&path).await;
    assert_eq!((fresh.body.as_str(), fresh.field("cache-status")), ("[2]", "ikgate; hit; ttl=60"));
    assert_eq!(origin.requests_for(&path), 2);
    let stale = "ikgate_requests_total{route=\"list\",caller=\"anonymous\",status=\"200\",\
                 cache=\"stale\"}";
    assert_eq!(gateway.metric(stale).await, Some(5.0));
    gateway.finish().await;
}

#[tokio::test]
async fn beyond_the_window_the_upstream_is_asked_first() {
    let (origin, gateway, path) = with_a_list("cache.stale_while_revalidate = \"10s\"").await;
    gateway.clock.advance(MINUTE + Duration::from_secs(10));
    let asked = gateway.get(&path).await;
    assert_eq!(asked.body, "[2]");
    assert_eq!(asked.field("cache-status"), "ikgate; fwd=stale; fwd-status=200; stored");
    assert_eq!(origin.requests_for(&path), 2);
    gateway.finish().await;
}

#[tokio::test]
async fn a_refresh_that_finds_404_replaces_the_list() {
    let (origin, gateway, path) = with_a_list("").await;
    gateway.clock.advance(MINUTE);
    origin.replies(&path, Reply::json(404, ""));
    assert_eq!(gateway.get(&path).await.body, "[1]");
    origin.has_seen(&path, 2).await;
    gateway.is_settled(FILE).await;
    assert_eq!(gateway.get(&path).await.status, 404);
    gateway.finish().await;
}

/// A stale list answers in place of failures in which the upstream says nothing about the file.
#[tokio::test]
async fn a_stale_list_stands_in_for_an_upstream_that_fails() {
    let reset = |text: &str| Reply::BytesThenReset(text.as_bytes().to_vec());
    let table = [
        ("reset", reset(""), true),
        ("cut off", reset("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n[2"), true),
        ("500", Reply::json(500, ""), true),
        ("503", Reply::json(503, ""), true),
        ("429", Reply::json(429, "{}"), true),
        ("401", Reply::json(401, "{}"), true),
        ("403", Reply::json(403, "{}"), true),
        ("302", Reply::json(302, ""), false),
        ("no list", Reply::json(200, "{}"), false),
        ("404", Reply::json(404, ""), false),
    ];
    for (name, reply, stands_in) in table {
        let (origin, gateway, path) = with_a_list("cache.stale_while_revalidate = \"0s\"").await;
        origin.replies(&path, reply);
        gateway.clock.advance(MINUTE + Duration::from_secs(5));
        let answer = gateway.get(&path).await;
        if stands_in {
            assert_eq!((answer.status, answer.body.as_str()), (200, "[1]"), "{name}");
            let status = "ikgate; fwd=stale; detail=stale-if-error";
            assert_eq!(answer.field("cache-status"), status, "{name}");
            assert_eq!(answer.field("cache-control"), "private, no-cache", "{name}");
            assert_eq!(answer.field("age"), "65", "{name}");
            let counted = "ikgate_requests_total{route=\"list\",caller=\"anonymous\",\
                           status=\"200\",cache=\"stale_error\"}";
            assert_eq!(gateway.metric(counted).await, Some(1.0), "{name}");
        } else {
            assert!(answer.status >= 400, "{name}: {answer:#?}");
        }
        gateway.finish().await;
    }
}

#[tokio::test]
async fn a_stale_list_stands_in_for_an_upstream_that_is_silent_or_gone() {
    let more = "[cache]\nstale_while_revalidate = \"0s\"\n[upstream]\nrequest_timeout = \"2s\"";
    let (origin, gateway, path) = with_a_list(more).await;
    origin.replies(&path, Reply::Silence);
    gateway.clock.advance(MINUTE);
    assert_eq!(gateway.get(&path).await.body, "[1]");
    gateway.finish().await;
}

#[tokio::test]
async fn no_list_stands_in_after_its_window() {
    let more = "[cache]\nstale_while_revalidate = \"0s\"\nstale_if_error = \"10s\"";
    let (origin, gateway, path) = with_a_list(more).await;
    origin.replies(&path, Reply::json(500, ""));
    gateway.clock.advance(MINUTE + Duration::from_secs(9));
    assert_eq!(gateway.get(&path).await.status, 200);
    gateway.clock.advance(Duration::from_secs(1));
    let failed = gateway.get(&path).await;
    assert_eq!((failed.status, failed.code().as_str()), (502, "upstream_bad"));
    assert_eq!(failed.field("cache-status"), "ikgate; fwd=stale; fwd-status=500");
    gateway.finish().await;
}

/// The stale list is looked up when the failure is known, so a purge in between removes it.
#[tokio::test]
async fn a_list_that_was_purged_while_the_upstream_was_failing_does_not_stand_in() {
    for purge in [format!("/api/cache/{FILE}"), "/api/cache".to_owned()] {
        let (origin, gateway, path) = with_a_list("cache.stale_while_revalidate = \"0s\"").await;
        gateway.clock.advance(MINUTE);
        origin.replies(&path, Reply::json(500, ""));
        origin.hold(&path);
        let mut waiting = gateway.ask(FILE).await;
        origin.has_seen(&path, 2).await;
        gateway.purge(&purge).await;
        origin.release(&path);
        assert_eq!(waiting.read("GET").await.unwrap().status, 502, "{purge}");
        gateway.finish().await;
    }
}

#[tokio::test]
async fn what_does_not_exist_is_never_answered_stale() {
    let origin = Origin::start().await;
    let path = versions_of(FILE);
    let gateway = TestGateway::start(&origin);
    assert_eq!(gateway.get(&path).await.status, 404);
    origin.replies(&path, Reply::json(500, ""));
    gateway.clock.advance(Duration::from_secs(10));
    assert_eq!(gateway.get(&path).await.status, 502);
    gateway.finish().await;
}

#[tokio::test]
async fn a_list_fetched_soon_after_its_own_purge_settles_first() {
    let (_origin, gateway, path) = with_a_list("").await;
    gateway.purge(&format!("/api/cache/{FILE}")).await;
    gateway.clock.advance(Duration::from_secs(1));
    gateway.get(&path).await;
    assert_eq!(gateway.get(&path).await.field("cache-status"), "ikgate; hit; ttl=2");
    gateway.clock.advance(Duration::from_secs(2));
    assert_eq!(gateway.get(&path).await.field("cache-status"), "ikgate; hit; ttl=0");
    gateway.is_settled(FILE).await;
    assert_eq!(gateway.get(&path).await.field("cache-status"), "ikgate; hit; ttl=60");

    gateway.purge("/api/cache").await;
    gateway.get(&path).await;
    let status = gateway.get(&path).await;
    assert_eq!(status.field("cache-status"), "ikgate; hit; ttl=60", "not after a purge of all");
    gateway.finish().await;
}

#[tokio::test]
async fn browsers_may_use_a_list_for_as_long_as_it_is_fresh() {
    let (_origin, gateway, path) = with_a_list("cache.browser_max_age = \"30s\"").await;
    let control = async |after: u64| {
        gateway.clock.advance(Duration::from_secs(after));
        gateway.get(&path).await.field("cache-control").to_owned()
    };
    // A browser subtracts the Age from max-age.
    assert_eq!(control(0).await, "private, max-age=30");
    assert_eq!(control(20).await, "private, max-age=50");
    assert_eq!(control(20).await, "private, max-age=60");
    assert_eq!(control(20).await, "private, no-cache");
    gateway.is_settled(FILE).await;
    // A stored response in a browser must not go to its next user.
    let vary = async || gateway.get(&path).await.field("vary").to_owned();
    assert_eq!(vary().await, "Origin, Accept-Encoding, Authorization");
    let refused = gateway.get("/nothing").await;
    assert_eq!(refused.field("vary"), "Origin, Accept-Encoding");
    gateway.purge("/api/cache").await;
    let miss = gateway.get(&path).await;
    assert_eq!(miss.field("cache-control"), "private, max-age=30");
    gateway.finish().await;
}

#[tokio::test]
async fn browsers_are_not_told_to_keep_what_was_softly_purged_on_its_way() {
    for purge in [format!("/api/cache/{FILE}?soft=true"), "/api/cache?soft=true".to_owned()] {
        let origin = Origin::start().await;
        let path = versions_of(FILE);
        origin.replies(&path, Reply::json(200, "[1]"));
        origin.hold(&path);
        let gateway = TestGateway::configured(&origin, "cache.browser_max_age = \"30s\"");
        let mut waiting = gateway.ask(FILE).await;
        origin.has_seen(&path, 1).await;
        gateway.purge(&purge).await;
        origin.release(&path);
        let answer = waiting.read("GET").await.unwrap();
        assert_eq!(answer.field("cache-control"), "private, no-cache", "{purge}");
        gateway.finish().await;
    }
}
