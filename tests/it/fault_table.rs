//! Table test of upstream faults: each fault with each state of the cache, the response that the
//! caller gets, and the number of upstream calls.

use std::time::Duration;

use crate::support::{FILE, Origin, Reply, TestGateway, versions_of};

/// Whether a stale list may answer in place of the fault.
#[derive(Clone, Copy, PartialEq)]
enum Stale {
    /// No response came: a stored list is better.
    Allowed,
    /// A wrong response came.
    Not,
}

struct Fault {
    name: &'static str,
    reply: Reply,
    status: u16,
    code: &'static str,
    stale: Stale,
    /// Number of upstream calls, with one retry allowed.
    calls: usize,
}

fn bytes(text: &str) -> Reply {
    Reply::Bytes(text.as_bytes().to_vec())
}

fn reset_after(text: &str) -> Reply {
    Reply::BytesThenReset(text.as_bytes().to_vec())
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn faults() -> Vec<Fault> {
    use Stale::{Allowed, Not};
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n";
    let limited =
        "X-RateLimit-Limit: 9\r\nX-RateLimit-Reset: 500\r\nX-RateLimit-Interval: 1000\r\n";
    [
        ("accepted and closed", reset_after(""), 502, "upstream_unreachable", Allowed, 2),
        (
            "reset in the status line",
            reset_after("HTTP/1"),
            502,
            "upstream_unreachable",
            Allowed,
            2,
        ),
        (
            "reset in a field",
            reset_after("HTTP/1.1 200 OK\r\nX: "),
            502,
            "upstream_unreachable",
            Allowed,
            2,
        ),
        ("reset after the head", reset_after(head), 502, "upstream_bad", Allowed, 1),
        ("reset in the body", reset_after(&format!("{head}[1,")), 502, "upstream_bad", Allowed, 1),
        ("500", Reply::json(500, "{}"), 502, "upstream_bad", Allowed, 1),
        ("502", Reply::json(502, "{}"), 502, "upstream_bad", Allowed, 2),
        ("503", Reply::json(503, "{}"), 502, "upstream_bad", Allowed, 2),
        ("504", Reply::json(504, "{}"), 502, "upstream_bad", Allowed, 2),
        ("401", Reply::json(401, "{}"), 502, "upstream_auth", Allowed, 1),
        ("403", Reply::json(403, "{}"), 502, "upstream_auth", Allowed, 1),
        ("429 alone", Reply::json(429, "{}"), 503, "upstream_busy", Allowed, 1),
        (
            "429 with fields",
            Reply::with_fields(429, limited, "{}"),
            503,
            "upstream_busy",
            Allowed,
            1,
        ),
        ("a redirect", Reply::with_fields(302, "Location: /\r\n", ""), 502, "upstream_bad", Not, 1),
        ("418", Reply::json(418, "{}"), 502, "upstream_bad", Not, 1),
        ("no HTTP", bytes("SSH-2.0-x\r\n\r\n"), 502, "upstream_bad", Not, 1),
        ("an object", Reply::json(200, "{}"), 502, "upstream_bad", Not, 1),
        ("no JSON", Reply::json(200, "[1"), 502, "upstream_bad", Not, 1),
        (
            "another coding",
            Reply::with_fields(200, "Content-Encoding: br\r\n", "[]"),
            502,
            "upstream_bad",
            Not,
            1,
        ),
        (
            "too long",
            bytes("HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n["),
            502,
            "upstream_bad",
            Not,
            1,
        ),
    ]
    .into_iter()
    .map(|(name, reply, status, code, stale, calls)| Fault {
        name,
        reply,
        status,
        code,
        stale,
        calls,
    })
    .collect()
}

#[tokio::test]
async fn every_fault_meets_every_state_of_the_cache() {
    const AGES: [(&str, u64); 4] = [("none", 0), ("fresh", 5), ("while", 15), ("if error", 40)];
    let path = versions_of(FILE);
    let more = "[upstream]\nretries.max = 1\nrequest_timeout = \"60s\"\n[cache]\nttl = \"10s\"\n\
                stale_while_revalidate = \"20s\"\nstale_if_error = \"1h\"";
    for fault in faults() {
        for (state, age) in AGES {
            let name = format!("{}, {state}", fault.name);
            let origin = Origin::start().await;
            let gateway = TestGateway::configured(&origin, more);
            if state != "none" {
                origin.replies(&path, Reply::json(200, "[1]"));
                gateway.get(&path).await;
            }
            gateway.clock.advance(Duration::from_secs(age));
            origin.replies(&path, fault.reply.clone());
            let before = origin.requests_for(&path);
            let answer = gateway.get(&path).await;
            gateway.is_settled(FILE).await;
            let calls = origin.requests_for(&path) - before;
            // The connection that brought the list is reused. Its close alone is no failure: the
            // call is retried on a new one.
            let used = state != "none" && fault.code == "upstream_unreachable";
            let expected_calls = fault.calls + usize::from(used);
            let status = answer.field("cache-status");
            match state {
                "fresh" => {
                    assert_eq!(
                        (answer.status, status, calls),
                        (200, "ikgate; hit; ttl=5", 0),
                        "{name}"
                    );
                }
                "while" => {
                    let expected = (200, "ikgate; hit; ttl=-5", expected_calls);
                    assert_eq!((answer.status, status, calls), expected, "{name}");
                }
                "if error" if fault.stale == Stale::Allowed => {
                    let expected =
                        (200, "ikgate; fwd=stale; detail=stale-if-error", expected_calls);
                    assert_eq!((answer.status, status, calls), expected, "{name}");
                    assert_eq!(answer.body, "[1]", "{name}");
                }
                _ => {
                    let found = (answer.status, answer.code(), calls);
                    assert_eq!(
                        found,
                        (fault.status, fault.code.to_owned(), expected_calls),
                        "{name}"
                    );
                    let reason = if state == "none" { "uri-miss" } else { "stale" };
                    assert!(
                        status.starts_with(&format!("ikgate; fwd={reason}")),
                        "{name}: {status}"
                    );
                    assert!(!status.contains("stored"), "{name}: {status}");
                }
            }
            gateway.finish().await;
        }
    }
}

/// An upstream that refuses connections, and one that stays silent: the same table with shorter
/// deadlines.
#[tokio::test]
async fn an_upstream_that_is_gone_or_silent_meets_every_state_of_the_cache() {
    let path = versions_of(FILE);
    let more = "[upstream]\nrequest_timeout = \"2s\"\n[cache]\nttl = \"10s\"\n\
                stale_while_revalidate = \"20s\"\nstale_if_error = \"1h\"";
    for (name, status, code) in
        [("gone", 502, "upstream_unreachable"), ("silent", 504, "upstream_timeout")]
    {
        for (state, age) in [("none", 0), ("fresh", 5), ("while", 15), ("if error", 40)] {
            let origin = Origin::start().await;
            let gateway = TestGateway::configured(&origin, more);
            if state != "none" {
                origin.replies(&path, Reply::json(200, "[1]"));
                gateway.get(&path).await;
            }
            gateway.clock.advance(Duration::from_secs(age));
            if name == "gone" {
                origin.leave();
            } else {
                origin.replies(&path, Reply::Silence);
            }
            let answer = gateway.get(&path).await;
            let found = answer.field("cache-status");
            let expected = match state {
                "fresh" => "ikgate; hit; ttl=5",
                "while" => "ikgate; hit; ttl=-5",
                "if error" => "ikgate; fwd=stale; detail=stale-if-error",
                _ => "ikgate; fwd=uri-miss",
            };
            assert_eq!(found, expected, "{name}, {state}");
            if state == "none" {
                assert_eq!((answer.status, answer.code().as_str()), (status, code), "{name}");
            } else {
                assert_eq!((answer.status, answer.body.as_str()), (200, "[1]"), "{name}, {state}");
            }
            gateway.is_settled(FILE).await;
            gateway.finish().await;
        }
    }
}

/// Informational responses and bodies in small pieces are unusual, but valid.
#[tokio::test]
async fn what_is_only_odd_is_answered() {
    let interim = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n[1]";
    let trailers = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n1\r\n[\r\n1\r\n1\r\n1\r\n]\r\n0\r\nX: y\r\n\r\n";
    let until_closed = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\n[1]";
    let garbage_behind = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n[1]SSH-2.0-x\r\n";
    for (name, reply) in [
        ("1xx first", bytes(interim)),
        ("tiny chunks and trailers", bytes(trailers)),
        ("a connection for one", bytes(until_closed)),
        ("something behind the body", bytes(garbage_behind)),
    ] {
        let origin = Origin::start().await;
        let path = versions_of(FILE);
        origin.replies(&path, reply);
        let gateway = TestGateway::configured(&origin, "upstream.request_timeout = \"60s\"");
        for _ in 0..3 {
            let answer = gateway.get(&path).await;
            assert_eq!((answer.status, answer.body.as_str()), (200, "[1]"), "{name}");
            gateway.purge("/api/cache").await;
        }
        gateway.finish().await;
    }
}
