//! Tests of cache freshness: misses, hits, and the time at which a stored list expires.

use std::time::Duration;

use crate::support::{FILE, Origin, Reply, TestGateway, versions_of};

/// Configuration in which no stale list is answered while it is refreshed.
const ASK_FIRST: &str = "cache.stale_while_revalidate = \"0s\"";

/// List with spacing, escapes and numbers that no serialiser writes, so that a rewrite would show.
const LIST: &str = "[ {\"fileId\" : \"a\",\"size\":1.0e2,\"name\":\"\\u0061\"} ]\n";

#[tokio::test]
async fn a_list_is_fetched_once_and_goes_out_byte_for_byte() {
    let origin = Origin::start().await;
    let path = versions_of(FILE);
    origin.replies(&path, Reply::json(200, LIST));
    let gateway = TestGateway::start(&origin);

    let miss = gateway.get(&path).await;
    assert_eq!((miss.status, miss.body.as_str()), (200, LIST));
    assert_eq!(miss.field("cache-status"), "ikgate; fwd=uri-miss; fwd-status=200; stored");
    assert_eq!(miss.field("age"), "0");

    gateway.clock.advance(Duration::from_secs(7));
    let hit = gateway.get(&path).await;
    assert_eq!((hit.status, hit.body.as_str()), (200, LIST));
    assert_eq!(hit.field("cache-status"), "ikgate; hit; ttl=53");
    assert_eq!(hit.field("age"), "7");
    assert_eq!(hit.field("content-type"), "application/json; charset=utf-8");
    assert_eq!(hit.field("cache-control"), "private, no-cache");
    assert_eq!(hit.field("vary"), "Origin, Accept-Encoding");
    assert_eq!(hit.field("etag"), miss.field("etag"));
    assert_eq!(origin.requests_for(&path), 1);
    gateway.finish().await;
}

#[tokio::test]
async fn a_list_is_fetched_again_exactly_when_its_ttl_is_over() {
    let origin = Origin::start().await;
    let path = versions_of(FILE);
    origin.replies(&path, Reply::json(200, "[1]"));
    let gateway =
        TestGateway::configured(&origin, "[cache]\nttl = \"30s\"\nstale_while_revalidate = \"0s\"");
    gateway.get(&path).await;
    origin.replies(&path, Reply::json(200, "[2]"));

    gateway.clock.advance(Duration::from_secs(30) - Duration::from_nanos(1));
    assert_eq!(gateway.get(&path).await.body, "[1]");
    gateway.clock.advance(Duration::from_nanos(1));
    let refetched = gateway.get(&path).await;
    assert_eq!(refetched.body, "[2]");
    assert_eq!(refetched.field("cache-status"), "ikgate; fwd=stale; fwd-status=200; stored");
    assert_eq!(refetched.field("age"), "0");
    gateway.finish().await;
}

#[tokio::test]
async fn a_404_and_a_400_pass_through_and_are_kept_for_a_shorter_time() {
    for (status, message) in [(404, "Nothing."), (400, "Not like that.")] {
        let origin = Origin::start().await;
        let path = versions_of(FILE);
        let body = format!("{{\"message\":\"{message}\",\"help\":\"Ask.\",\"reason\":\"X\"}}");
        origin.replies(&path, Reply::json(status, &body));
        let gateway = TestGateway::start(&origin);
        for stored in ["fwd=uri-miss; fwd-status=S; stored", "hit; ttl=10"] {
            let answer = gateway.get(&path).await;
            assert_eq!((answer.status, &answer.body), (status, &body));
            assert_eq!(answer.field("cache-control"), "no-store");
            let expected = format!("ikgate; {}", stored.replace('S', &status.to_string()));
            assert_eq!(answer.field("cache-status"), expected);
        }
        origin.replies(&path, Reply::json(200, "[]"));
        gateway.clock.advance(Duration::from_secs(10));
        assert_eq!(gateway.get(&path).await.status, 200);
        assert_eq!(origin.requests_for(&path), 2);
        gateway.finish().await;
    }
}

#[tokio::test]
async fn a_404_replaces_a_stored_list() {
    let origin = Origin::start().await;
    let path = versions_of(FILE);
    origin.replies(&path, Reply::json(200, "[]"));
    let gateway = TestGateway::configured(&origin, ASK_FIRST);
    gateway.get(&path).await;
    origin.replies(&path, Reply::json(404, ""));
    gateway.clock.advance(Duration::from_mins(1));
    let gone = gateway.get(&path).await;
    assert_eq!((gone.status, gone.code().as_str()), (404, "not_found"));
    assert_eq!(gateway.get(&path).await.status, 404, "and the list does not come back");
    gateway.finish().await;
}

#[tokio::test]
async fn what_the_upstream_forbids_to_store_is_answered_and_forgotten() {
    let origin = Origin::start().await;
    let path = versions_of(FILE);
    origin.replies(&path, Reply::json(200, "[1]"));
    let gateway = TestGateway::configured(&origin, ASK_FIRST);
    gateway.get(&path).await;
    gateway.clock.advance(Duration::from_mins(1));
    origin.replies(&path, Reply::with_fields(200, "Cache-Control: no-store\r\n", "[2]"));
    for _ in 0..2 {
        let answer = gateway.get(&path).await;
        assert_eq!(answer.body, "[2]");
        assert!(!answer.field("cache-status").contains("stored"), "{answer:#?}");
    }
    assert_eq!(origin.requests_for(&path), 3);
    gateway.finish().await;
}

#[tokio::test]
async fn a_response_that_varies_on_everything_is_answered_and_not_stored() {
    for fields in ["Vary: *\r\n", "Vary: Accept-Encoding, *\r\n", "Vary: a\r\nVary: *\r\n"] {
        let origin = Origin::start().await;
        let path = versions_of(FILE);
        origin.replies(&path, Reply::with_fields(200, fields, "[]"));
        let gateway = TestGateway::configured(&origin, ASK_FIRST);
        for _ in 0..2 {
            let answer = gateway.get(&path).await;
            assert_eq!(answer.field("cache-status"), "ikgate; fwd=uri-miss; fwd-status=200");
        }
        assert_eq!(origin.requests_for(&path), 2, "{fields:?}");
        gateway.finish().await;
    }
}

#[tokio::test]
async fn what_the_upstream_says_of_its_age_counts() {
    for (age, expected) in [
        ("50", 50),
        ("0", 0),
        ("x", 0),
        ("-1", 0),
        ("+50", 0),
        ("30, 40", 30),
        ("30\r\nAge: 40", 30),
    ] {
        let origin = Origin::start().await;
        let path = versions_of(FILE);
        origin.replies(&path, Reply::with_fields(200, &format!("Age: {age}\r\n"), "[]"));
        let gateway = TestGateway::configured(&origin, ASK_FIRST);
        // A manual clock begins at zero, so no response can be older than that.
        gateway.clock.advance(Duration::from_hours(1));
        let answer = gateway.get(&path).await;
        assert_eq!(answer.field("age"), expected.to_string(), "{age}");
        let hit = gateway.get(&path).await;
        let left = 60 - expected;
        assert_eq!(hit.field("cache-status"), format!("ikgate; hit; ttl={left}"), "{age}");
        gateway.finish().await;
    }
}

/// RFC 9111 section 1.2.2.
#[tokio::test]
async fn a_list_that_is_older_than_can_be_counted_is_stale_at_once() {
    for age in ["5000000000", "99999999999999999999999999"] {
        let origin = Origin::start().await;
        let path = versions_of(FILE);
        origin.replies(&path, Reply::with_fields(200, &format!("Age: {age}\r\n"), "[]"));
        let gateway = TestGateway::configured(&origin, ASK_FIRST);
        gateway.clock.advance(Duration::from_hours(48));
        for calls in 1..=2 {
            let answer = gateway.get(&path).await;
            assert_eq!(answer.status, 200, "{age}");
            assert_eq!(answer.field("age"), (48 * 60 * 60).to_string(), "{age}");
            assert_eq!(origin.requests_for(&path), calls, "{age}");
        }
        gateway.finish().await;
    }
}

/// RFC 9110 section 6.6.1.
#[tokio::test]
async fn the_date_of_a_hit_is_when_it_was_answered() {
    let origin = Origin::start().await;
    let path = versions_of(FILE);
    let fields = "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
    origin.replies(&path, Reply::with_fields(200, fields, "[]"));
    let gateway = TestGateway::start(&origin);
    for date in ["01:46:40", "01:47:10"] {
        let answer = gateway.get(&path).await;
        assert_eq!(answer.field("date"), format!("Sun, 09 Sep 2001 {date} GMT"));
        gateway.clock.advance(Duration::from_secs(30));
    }
    gateway.finish().await;
}

#[tokio::test]
async fn a_hard_reload_does_not_spend_the_accounts_budget() {
    let origin = Origin::start().await;
    let path = versions_of(FILE);
    origin.replies(&path, Reply::json(200, "[]"));
    let gateway = TestGateway::start(&origin);
    gateway.get(&path).await;
    let reload = [("Cache-Control", "no-cache, no-store, max-age=0"), ("Pragma", "no-cache")];
    let answer = gateway.send("GET", &path, &reload).await;
    assert_eq!(answer.field("cache-status"), "ikgate; hit; ttl=60");
    assert_eq!(origin.requests_for(&path), 1);
    gateway.finish().await;
}

#[tokio::test]
async fn a_flood_of_ids_that_do_not_exist_leaves_stored_lists_in_place() {
    let origin = Origin::start().await;
    let list = format!("[\"{}\"]", "x".repeat(900));
    let good: Vec<_> = (0..50).map(|number| versions_of(&format!("good{number}"))).collect();
    let gateway = TestGateway::configured(
        &origin,
        "cache.max_bytes = \"1MiB\"\n[limits]\nanonymous = { per_second = 100000, burst = 100000 }",
    );
    for path in &good {
        origin.replies(path, Reply::json(200, &list));
        gateway.get(path).await;
    }
    for number in 0..2_000 {
        assert_eq!(gateway.get(&versions_of(&format!("bad{number}"))).await.status, 404);
    }
    for path in &good {
        assert!(gateway.get(path).await.field("cache-status").contains("hit"), "{path}");
    }
    gateway.finish().await;
}
