//! Tests of caller quotas (rate limits): the responses and fields that a caller sees.

use std::time::Duration;

use crate::support::{Connection, FILE, Origin, Reply, TestGateway, versions_of};

const SMALL: &str = "limits.anonymous = { per_second = 2, burst = 3 }";

#[tokio::test]
async fn a_throttled_request_says_when_to_return_and_never_reaches_the_origin() {
    let origin = Origin::start().await;
    let path = versions_of(FILE);
    origin.replies(&path, Reply::with_fields(200, "Cache-Control: no-store\r\n", "[]"));
    let gateway = TestGateway::configured(&origin, SMALL);
    for left in ["2", "1", "0"] {
        let answer = gateway.get(&path).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.field("ratelimit-policy"), "\"anonymous\";q=3;w=2");
        let standing = answer.field("ratelimit").to_owned();
        assert!(standing.starts_with(&format!("\"anonymous\";r={left};t=")), "{standing}");
    }
    let throttled = gateway.get(&path).await;
    assert_eq!((throttled.status, throttled.code().as_str()), (429, "throttled"));
    for (name, value) in [
        ("retry-after", "1"),
        // One cell is back in 500 ms. A second's worth lets several refused requests pass.
        ("retry-after-ms", "1000"),
        ("x-ratelimit-limit", "3"),
        ("x-ratelimit-interval", "1500"),
        ("x-ratelimit-reset", "1000"),
        ("ratelimit", "\"anonymous\";r=0;t=2"),
        ("ratelimit-policy", "\"anonymous\";q=3;w=2"),
        ("cache-status", "ikgate; detail=throttled"),
        ("vary", "Origin, Accept-Encoding"),
        ("cache-control", "no-store"),
    ] {
        assert_eq!(throttled.field(name), value, "{name}");
    }
    assert_eq!(throttled.find("x-should-retry"), None);
    assert_eq!(origin.requests_for(&path), 3);

    gateway.clock.advance(Duration::from_millis(499));
    assert_eq!(gateway.get(&path).await.status, 429, "a moment early");
    gateway.clock.advance(Duration::from_millis(1));
    assert_eq!(gateway.get(&path).await.status, 200, "on time");
    gateway.finish().await;
}

#[tokio::test]
async fn hits_and_not_modified_answers_count_and_refusals_before_the_quota_do_not() {
    let origin = Origin::start().await;
    let path = versions_of(FILE);
    origin.replies(&path, Reply::json(200, "[]"));
    let gateway = TestGateway::configured(&origin, SMALL);
    for _ in 0..10 {
        assert_eq!(gateway.get("/v1/files/a%20b/versions").await.status, 400);
        assert_eq!(gateway.get("/nothing").await.status, 404);
    }
    assert_eq!(gateway.get(&path).await.status, 200);
    assert_eq!(gateway.get(&path).await.status, 200);
    assert_eq!(gateway.send("GET", &path, &[("If-None-Match", "*")]).await.status, 304);
    assert_eq!(gateway.get(&path).await.status, 429);
    gateway.finish().await;
}

#[tokio::test]
async fn a_known_caller_has_a_quota_of_its_own() {
    let origin = Origin::start().await;
    let path = versions_of(FILE);
    origin.replies(&path, Reply::json(200, "[]"));
    // printf 'ikg_key' | sha256sum
    let digest = ikgate::caller::KeyDigest::of("ikg_key");
    let more = format!(
        "{SMALL}\n[[callers]]\nname = \"web-team\"\nkey_sha256 = \"{digest}\"\n\
         quota = {{ per_second = 1, burst = 1 }}"
    );
    let gateway = TestGateway::configured(&origin, &more);
    let key = [("Authorization", "Bearer ikg_key")];
    let first = gateway.send("GET", &path, &key).await;
    assert_eq!(first.field("ratelimit"), "\"web-team\";r=0;t=1");
    let second = gateway.send("GET", &path, &key).await;
    assert_eq!((second.status, second.field("retry-after-ms")), (429, "1000"));
    assert_eq!(gateway.get(&path).await.status, 200);
    let throttled = "ikgate_throttled_total{caller=\"web-team\",limit=\"caller\"}";
    assert_eq!(gateway.metric(throttled).await, Some(1.0));
    gateway.finish().await;
}

#[tokio::test]
async fn wrong_keys_are_soon_not_looked_at_and_known_ones_still_pass() {
    let origin = Origin::start().await;
    let path = versions_of(FILE);
    origin.replies(&path, Reply::json(200, "[]"));
    let digest = ikgate::caller::KeyDigest::of("ikg_key");
    let more = format!(
        "[server]\ntrusted_proxies = [\"127.0.0.1\"]\n\
         [limits]\nauth_failures = {{ per_second = 1, burst = 5 }}\n\
         [[callers]]\nname = \"web-team\"\nkey_sha256 = \"{digest}\""
    );
    let gateway = TestGateway::configured(&origin, &more);
    let ask = async |from: &str, key: &str| {
        let fields = [("X-Forwarded-For", from), ("Authorization", key)];
        gateway.send("GET", &path, &fields).await
    };
    let sprayer = "198.51.100.1";
    let (mut spray, mut refused) = (Connection::open(gateway.public).await, Vec::new());
    for number in 0..10_000 {
        let head = format!(
            "GET {path} HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: {sprayer}\r\n\
             Authorization: Bearer wrong{number}\r\n\r\n"
        );
        spray.write(head).await;
        refused.push(spray.read("GET").await.unwrap().status);
    }
    drop(spray);
    assert_eq!((&refused[..5], &refused[5..7]), (&[401; 5][..], &[429; 2][..]));
    assert!(refused[5..].iter().all(|status| *status == 429));
    let throttled = ask(sprayer, "Bearer wrong").await;
    assert_eq!(
        (throttled.code().as_str(), throttled.field("retry-after-ms")),
        ("throttled", "1000")
    );
    let message = "Too many credentials from your address were wrong: try again in 1 s.";
    assert_eq!(throttled.json()["message"], message);
    assert_eq!(throttled.field("x-ratelimit-limit"), "5");
    assert_eq!(throttled.find("ratelimit"), None, "no caller is known");
    assert_eq!(ask(sprayer, "Bearer ikg_key").await.status, 200, "a known key");
    assert_eq!(ask("198.51.100.2", "Bearer wrong").await.status, 401, "another address");
    let anonymous = gateway.send("GET", &path, &[("X-Forwarded-For", sprayer)]).await;
    assert_eq!(anonymous.status, 200, "no credential has failed");
    let counted = "ikgate_throttled_total{caller=\"none\",limit=\"auth\"}";
    assert_eq!(gateway.metric(counted).await, Some(9996.0));
    gateway.clock.advance(Duration::from_secs(1));
    assert_eq!(ask(sprayer, "Basic !").await.status, 401);
    assert_eq!(ask(sprayer, "Basic !").await.status, 429, "whatever is wrong with it");
    gateway.finish().await;
}

#[tokio::test]
async fn a_dry_run_counts_and_serves() {
    let origin = Origin::start().await;
    let path = versions_of(FILE);
    origin.replies(&path, Reply::json(200, "[]"));
    let more = "[limits]\nanonymous = { per_second = 1, burst = 1 }\ndry_run = true";
    let gateway = TestGateway::configured(&origin, more);
    for _ in 0..3 {
        let answer = gateway.get(&path).await;
        assert_eq!((answer.status, answer.field("ratelimit")), (200, "\"anonymous\";r=0;t=1"));
    }
    let counted = "ikgate_throttled_total{caller=\"anonymous\",limit=\"address\"}";
    assert_eq!(gateway.metric(counted).await, Some(2.0));
    gateway.finish().await;
}
