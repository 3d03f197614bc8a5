//! Tests of trusted proxies: forwarded client addresses, request ids and trace contexts.

use crate::support::{FILE, Origin, Reply, TestGateway, versions_of};

const BEHIND_PROXIES: &str = "[server]\ntrusted_proxies = [\"127.0.0.1\", \"10.0.0.0/8\"]\n\
                              [limits]\nanonymous = { per_second = 1, burst = 1 }";

#[tokio::test]
async fn each_client_behind_a_proxy_of_ours_has_a_quota_of_its_own() {
    let origin = Origin::start().await;
    let path = versions_of(FILE);
    origin.replies(&path, Reply::json(200, "[]"));
    let gateway = TestGateway::configured(&origin, BEHIND_PROXIES);
    let from =
        async |hops: &str| gateway.send("GET", &path, &[("X-Forwarded-For", hops)]).await.status;
    assert_eq!(from("198.51.100.1").await, 200);
    assert_eq!(from("198.51.100.1").await, 429);
    assert_eq!(from("198.51.100.2, 10.1.1.1").await, 200);
    // Entries that a client writes in front do not change its address.
    assert_eq!(from("203.0.113.77, 198.51.100.2").await, 429);
    assert_eq!(from(&format!("{}198.51.100.2", "203.0.113.77,".repeat(500))).await, 429);
    gateway.finish().await;
}

#[tokio::test]
async fn no_other_peer_is_believed() {
    let origin = Origin::start().await;
    let path = versions_of(FILE);
    origin.replies(&path, Reply::json(200, "[]"));
    let small = "limits.anonymous = { per_second = 1, burst = 1 }";
    let gateway = TestGateway::configured(&origin, small);
    for (number, status) in [(1, 200), (2, 429), (3, 429)] {
        let (hop, id) = (format!("198.51.100.{number}"), "given");
        let fields = [("X-Forwarded-For", hop.as_str()), ("X-Request-Id", id)];
        let answer = gateway.send("GET", &path, &fields).await;
        assert_eq!(answer.status, status, "{hop}");
        assert_ne!(answer.field("x-request-id"), id);
    }
    gateway.finish().await;
}

#[tokio::test]
async fn the_one_field_that_is_configured_is_read() {
    let origin = Origin::start().await;
    let path = versions_of(FILE);
    origin.replies(&path, Reply::json(200, "[]"));
    let named = "[server]\nclient_address_header = \"x-real-ip\"\n";
    let more = BEHIND_PROXIES.replace("[server]\n", named);
    let gateway = TestGateway::configured(&origin, &more);
    for (number, status) in [(1, 200), (2, 429)] {
        let hop = format!("198.51.100.{number}");
        let fields = [("X-Forwarded-For", hop.as_str()), ("X-Real-IP", "203.0.113.1")];
        assert_eq!(gateway.send("GET", &path, &fields).await.status, status);
    }
    gateway.finish().await;
}

#[tokio::test]
async fn an_id_that_a_proxy_of_ours_gave_is_kept_if_it_is_one() {
    let origin = Origin::start().await;
    let gateway = TestGateway::configured(&origin, "server.trusted_proxies = [\"127.0.0.0/8\"]");
    let longest = "x".repeat(64);
    for id in ["abc-1.2_Z", &longest] {
        let answer = gateway.send("GET", "/", &[("X-Request-Id", id)]).await;
        assert_eq!(answer.field("x-request-id"), id);
    }
    for id in ["", "a b", "a\"b", "ä", &"x".repeat(65)] {
        let answer = gateway.send("GET", "/", &[("X-Request-Id", id)]).await;
        assert_eq!(answer.field("x-request-id").len(), 16, "{id}");
    }
    let twice = [("X-Request-Id", "a"), ("X-Request-Id", "b")];
    assert_eq!(gateway.send("GET", "/", &twice).await.field("x-request-id").len(), 16);
    gateway.finish().await;
}

#[tokio::test]
async fn a_caller_with_very_many_ipv6_prefixes_has_a_few_times_the_quota_of_one() {
    let origin = Origin::start().await;
    let path = versions_of(FILE);
    origin.replies(&path, Reply::json(200, "[]"));
    let more = "[server]\ntrusted_proxies = [\"127.0.0.1\"]\n\
                [limits]\nanonymous = { per_second = 1, burst = 1 }\n\
                ipv6 = { prefix = 64, wide_prefix = 48, wide_factor = 3 }";
    let gateway = TestGateway::configured(&origin, more);
    let from = async |hop: String| gateway.send("GET", &path, &[("X-Forwarded-For", &hop)]).await;
    assert_eq!(from("2001:db8::1".to_owned()).await.status, 200);
    assert_eq!(from("2001:db8::2".to_owned()).await.status, 429, "the same /64");
    assert_eq!(from("2001:db8:0:1::1".to_owned()).await.status, 200);
    let last = from("2001:db8:0:2::1".to_owned()).await;
    assert_eq!((last.status, last.field("ratelimit")), (200, "\"anonymous\";r=0;t=1"));
    let refused = from("2001:db8:0:3::1".to_owned()).await;
    assert_eq!((refused.status, refused.field("x-ratelimit-limit")), (429, "3"));
    assert_eq!(refused.field("ratelimit-policy"), "\"anonymous\";q=3;w=1");
    let counted = "ikgate_throttled_total{caller=\"anonymous\",limit=\"prefix\"}";
    assert_eq!(gateway.metric(counted).await, Some(1.0));
    assert_eq!(from("2001:db8:1::1".to_owned()).await.status, 200, "another /48");
    gateway.finish().await;
}

/// No response of any kind repeats a forwarding field: the gateway makes all response fields
/// itself.
#[tokio::test]
async fn no_answer_repeats_a_forwarding_field() {
    let origin = Origin::start().await;
    let path = versions_of(FILE);
    origin.replies(&path, Reply::json(200, "[]"));
    let gateway = TestGateway::configured(&origin, BEHIND_PROXIES);
    let fields = [
        ("X-Forwarded-For", "198.51.100.77"),
        ("X-Forwarded-Host", "canary.example"),
        ("X-Forwarded-Proto", "canary"),
        ("Forwarded", "for=198.51.100.77;host=canary.example"),
        ("X-Real-IP", "198.51.100.77"),
    ];
    let mut seen = Vec::new();
    for (method, target) in [
        ("GET", path.as_str()),
        ("GET", &path),
        ("OPTIONS", &path),
        ("POST", &path),
        ("TRACE", &path),
        ("GET", "/canary-free"),
        ("GET", "/v1/files/a%2Fb/versions"),
    ] {
        let answer = gateway.send(method, target, &fields).await;
        for (name, value) in &answer.fields {
            assert!(!name.to_lowercase().contains("forwarded"), "{method} {target}: {name}");
            assert!(!value.contains("198.51.100") && !value.contains("canary."), "{answer:#?}");
        }
        assert!(!answer.body.contains("198.51.100"), "{answer:#?}");
        seen.push(answer.status);
    }
    assert_eq!(seen, [200, 429, 204, 405, 405, 404, 400]);
    gateway.finish().await;
}

/// W3C Trace Context, sections 3.2 and 3.4.
#[tokio::test]
async fn a_trace_of_a_proxy_goes_on_as_far_as_it_is_known_and_of_others_not_at_all() {
    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    for (trusted, expected) in [("\"127.0.0.1\"", true), ("", false)] {
        let origin = Origin::start().await;
        let path = versions_of(FILE);
        origin.replies(&path, Reply::json(200, "[]"));
        let more = format!("server.trusted_proxies = [{trusted}]");
        let gateway = TestGateway::configured(&origin, &more);
        // A later version of the format may have other flags, and more data behind them.
        let of_proxy = format!("cc-{TRACE}-b7ad6b7169203331-ff-more");
        let fields = [("TraceParent", of_proxy.as_str()), ("Tracestate", "canary=1")];
        assert_eq!(gateway.send("GET", &path, &fields).await.status, 200);
        let requests = origin.requests();
        let line = requests[0].lines().find_map(|line| line.strip_prefix("traceparent: "));
        assert_eq!(line.is_some(), expected, "{requests:?}");
        if let Some(line) = line {
            let parts: Vec<_> = line.split('-').collect();
            let [version, trace, step, flags] = parts.as_slice() else { panic!("{line}") };
            assert_eq!((*version, *trace, *flags), ("00", TRACE, "01"));
            assert_ne!(*step, "b7ad6b7169203331");
        }
        assert!(!requests[0].contains("canary"), "{requests:?}");
        gateway.finish().await;
    }
}
