//! Tests of upstream faults: each has its error code, is not stored, and leaves no caller waiting.

use crate::support::{FILE, Origin, Reply, TestGateway, versions_of};

const SOON: &str = "upstream.request_timeout = \"2s\"";
const PATIENTLY: &str = "upstream.request_timeout = \"60s\"";

fn bytes(text: &str) -> Reply {
    Reply::Bytes(text.as_bytes().to_vec())
}

fn reset_after(text: &str) -> Reply {
    Reply::BytesThenReset(text.as_bytes().to_vec())
}

#[tokio::test]
async fn each_fault_has_its_code_and_the_next_request_asks_again() {
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n";
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let table = [
        ("reset before a head", reset_after(""), 502, "upstream_unreachable"),
        (
            "reset in the head",
            reset_after("HTTP/1.1 200 OK\r\nContent"),
            502,
            "upstream_unreachable",
        ),
        ("reset in the body", reset_after(&format!("{head}[1,2")), 502, "upstream_bad"),
        ("reset in a chunk", reset_after(&format!("{chunked}5\r\n[1")), 502, "upstream_bad"),
        ("no last chunk", reset_after(&format!("{chunked}2\r\n[]\r\n")), 502, "upstream_bad"),
        ("a longer length", reset_after(&format!("{head}[]")), 502, "upstream_bad"),
        ("not HTTP", bytes("SSH-2.0-x\r\n\r\n"), 502, "upstream_bad"),
        ("no JSON", Reply::json(200, "<html>"), 502, "upstream_bad"),
        ("an object", Reply::json(200, "{\"versions\":[]}"), 502, "upstream_bad"),
        ("an empty body", Reply::json(200, ""), 502, "upstream_bad"),
        ("half an array", Reply::json(200, "[{}"), 502, "upstream_bad"),
        (
            "a coding",
            Reply::with_fields(200, "Content-Encoding: br\r\n", "[]"),
            502,
            "upstream_bad",
        ),
        ("201", Reply::json(201, "[]"), 502, "upstream_bad"),
        ("204", bytes("HTTP/1.1 204 X\r\n\r\n"), 502, "upstream_bad"),
        (
            "302",
            Reply::with_fields(302, "Location: /v1/files/b/versions\r\n", ""),
            502,
            "upstream_bad",
        ),
        ("500", Reply::json(500, "secret"), 502, "upstream_bad"),
        ("503", Reply::json(503, "secret"), 502, "upstream_bad"),
        ("401", Reply::json(401, "{}"), 502, "upstream_auth"),
        ("403", Reply::json(403, "{}"), 502, "upstream_auth"),
        ("429", Reply::json(429, "{}"), 503, "upstream_busy"),
        ("silence", Reply::Silence, 504, "upstream_timeout"),
        ("a head that stops", bytes("HTTP/1.1 200 OK\r\n"), 504, "upstream_timeout"),
        ("a body that stops", bytes(&format!("{head}[1")), 504, "upstream_timeout"),
    ];
    for (name, reply, status, code) in table {
        let origin = Origin::start().await;
        let path = versions_of(FILE);
        origin.replies(&path, reply);
        // Only a fault that never ends may time out, however busy the machine is.
        let more = if code == "upstream_timeout" { SOON } else { PATIENTLY };
        let gateway = TestGateway::configured(&origin, more);
        let failed = gateway.get(&path).await;
        assert_eq!((failed.status, failed.code().as_str()), (status, code), "{name}");
        assert!(!failed.body.contains("secret"), "{name}: {failed:#?}");
        assert!(!failed.field("cache-status").contains("stored"), "{name}: {failed:#?}");
        assert_eq!(failed.field("cache-control"), "no-store", "{name}");
        assert_eq!(failed.find("etag"), None, "{name}");
        let never = (code == "upstream_auth").then_some("false");
        assert_eq!(failed.find("x-should-retry"), never, "{name}");

        if code == "upstream_busy" {
            gateway.clock.advance(std::time::Duration::from_secs(1));
        }
        origin.replies(&path, Reply::json(200, "[1]"));
        let mended = gateway.get(&path).await;
        assert_eq!((mended.status, mended.body.as_str()), (200, "[1]"), "{name}");
        assert_eq!(
            origin.requests_for("/v1/files/b/versions"),
            0,
            "{name}: a redirect was followed"
        );
        gateway.finish().await;
    }
}

#[tokio::test]
async fn an_upstream_without_a_listener_is_unreachable() {
    let origin = Origin::start().await;
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let gateway = TestGateway::configured(&origin, &format!("upstream.url = \"http://{gone}\""));
    let failed = gateway.get(&versions_of(FILE)).await;
    assert_eq!((failed.status, failed.code().as_str()), (502, "upstream_unreachable"));
    assert_eq!(failed.field("cache-status"), "ikgate; fwd=uri-miss");
    gateway.finish().await;
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_whether_it_says_so_or_not() {
    let list = |bytes: usize| format!("[\"{}\"]", "x".repeat(bytes - 4));
    let chunked = |body: &str| {
        let length = body.len();
        bytes(&format!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{length:x}\r\n{body}\r\n0\r\n\r\n"
        ))
    };
    let table = [
        (Reply::json(200, &list(1024)), 200),
        (chunked(&list(1024)), 200),
        (Reply::json(200, &list(1025)), 502),
        (chunked(&list(1025)), 502),
        // The gateway does not wait for a body whose announced length is too large.
        (bytes("HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n["), 502),
    ];
    for (row, (reply, status)) in table.into_iter().enumerate() {
        let origin = Origin::start().await;
        let path = versions_of(FILE);
        origin.replies(&path, reply);
        let gateway = TestGateway::configured(&origin, "upstream.max_response_bytes = \"1KiB\"");
        assert_eq!(gateway.get(&path).await.status, status, "row {row}");
        gateway.finish().await;
    }
}

#[tokio::test]
async fn a_429_says_how_long_to_wait_in_every_unit() {
    let origin = Origin::start().await;
    let path = versions_of(FILE);
    let fields =
        "X-RateLimit-Limit: 10\r\nX-RateLimit-Reset: 1234\r\nX-RateLimit-Interval: 2000\r\n";
    origin.replies(&path, Reply::with_fields(429, fields, "{}"));
    let gateway = TestGateway::start(&origin);
    let busy = gateway.get(&path).await;
    assert_eq!(busy.code(), "upstream_busy");
    for (name, value) in [
        ("retry-after", "2"),
        ("retry-after-ms", "1234"),
        ("x-ratelimit-limit", "10"),
        ("x-ratelimit-interval", "2000"),
        ("x-ratelimit-reset", "1234"),
        ("cache-status", "ikgate; fwd=uri-miss; fwd-status=429"),
    ] {
        assert_eq!(busy.field(name), value, "{name}");
    }
    gateway.finish().await;
}

#[tokio::test]
async fn calls_in_flight_are_bounded_and_the_others_wait_their_turn() {
    let origin = Origin::start().await;
    for file in ["a", "b"] {
        origin.replies(&versions_of(file), Reply::json(200, "[]"));
        origin.hold(&versions_of(file));
    }
    let gateway = TestGateway::configured(&origin, "upstream.max_concurrency = 1");
    let first =
        tokio::spawn(crate::support::send(gateway.public, "GET", "/v1/files/a/versions", &[]));
    origin.has_seen(&versions_of("a"), 1).await;
    let second =
        tokio::spawn(crate::support::send(gateway.public, "GET", "/v1/files/b/versions", &[]));
    gateway.has_waiting("b", 1).await;
    assert_eq!(origin.requests_for(&versions_of("b")), 0);
    origin.release(&versions_of("a"));
    origin.has_seen(&versions_of("b"), 1).await;
    origin.release(&versions_of("b"));
    assert_eq!((first.await.unwrap().status, second.await.unwrap().status), (200, 200));
    gateway.finish().await;
}
