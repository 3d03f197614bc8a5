//! Tests of the HTTP rules for upstream responses: their meaning, and the parts that are not
//! forwarded.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::io::copy_bidirectional;
use tokio::net::TcpStream;

use crate::shared::listen;
use crate::support::{FILE, Origin, Reply, TestGateway, versions_of};

/// Configuration in which stale lists are answered only if the upstream fails.
const STALE_IF_ERROR: &str =
    "[cache]\nttl = \"10s\"\nstale_while_revalidate = \"0s\"\nstale_if_error = \"1h\"";

fn bytes(text: &str) -> Reply {
    Reply::Bytes(text.as_bytes().to_vec())
}

/// Returns a response with a list and these field lines.
fn list_with(lines: &str) -> Reply {
    bytes(&format!("HTTP/1.1 200 OK\r\n{lines}\r\n[1]"))
}

/// RFC 9110 sections 5.5 and 15, RFC 9112 sections 5.1, 5.2, 6.1 and 6.3.
#[tokio::test]
async fn a_response_that_breaks_a_rule_of_its_head_is_no_list_and_is_not_stored() {
    let length = "Content-Length: 3\r\n";
    let table = [
        ("NUL in a value", list_with(&format!("{length}X: a\0b\r\n"))),
        ("a bare CR in a value", list_with(&format!("{length}X: a\rb\r\n"))),
        ("a blank before the colon", list_with(&format!("{length}X : a\r\n"))),
        ("a folded line", list_with(&format!("{length}X: a\r\n b\r\n"))),
        ("a length that is none", list_with("Content-Length: x\r\n")),
        ("a signed length", list_with("Content-Length: +3\r\n")),
        ("two lengths", list_with(&format!("{length}Content-Length: 4\r\n"))),
        ("two lengths in a line", list_with("Content-Length: 3, 4\r\n")),
        (
            "chunks in HTTP/1.0",
            bytes("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n[1]\r\n0\r\n\r\n"),
        ),
        ("a part", Reply::with_fields(206, "Content-Range: bytes 0-2/9\r\n", "[1]")),
        ("not modified", bytes("HTTP/1.1 304 X\r\n\r\n")),
        ("an unknown 2xx", Reply::json(299, "[1]")),
        ("an unknown 3xx", Reply::json(399, "[1]")),
        ("an unknown 4xx", Reply::json(499, "[1]")),
        ("an unknown 5xx", Reply::json(599, "[1]")),
        ("no class", Reply::json(600, "[1]")),
    ];
    for (name, reply) in table {
        let origin = Origin::start().await;
        let path = versions_of(FILE);
        origin.replies(&path, reply);
        let gateway = TestGateway::start(&origin);
        for calls in 1..=2 {
            let failed = gateway.get(&path).await;
            assert_eq!((failed.status, failed.code().as_str()), (502, "upstream_bad"), "{name}");
            assert!(!failed.field("cache-status").contains("stored"), "{name}: {failed:#?}");
            assert_eq!(origin.requests_for(&path), calls, "{name}");
        }
        gateway.finish().await;
    }
}

/// RFC 9112 section 4.
#[tokio::test]
async fn a_reason_phrase_is_not_looked_at() {
    for reason in ["", " ", " Not Found", " \t", " \u{e4}"] {
        let origin = Origin::start().await;
        let path = versions_of(FILE);
        origin.replies(
            &path,
            bytes(&format!("HTTP/1.1 200{reason}\r\nContent-Length: 3\r\n\r\n[1]")),
        );
        let gateway = TestGateway::start(&origin);
        let answer = gateway.get(&path).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "[1]"), "{reason:?}");
        gateway.finish().await;
    }
}

/// RFC 9110 section 15.
#[tokio::test]
async fn a_status_of_no_class_or_none_at_all_is_as_a_5xx() {
    for status in ["600", "999", "099", "2x0"] {
        let origin = Origin::start().await;
        let path = versions_of(FILE);
        origin.replies(&path, Reply::json(200, "[1]"));
        let gateway = TestGateway::configured(
            &origin,
            &format!(
                "{STALE_IF_ERROR}\n[upstream]\nbreaker = {{ failures = 1, open_for = \"5s\" }}"
            ),
        );
        gateway.get(&path).await;
        gateway.clock.advance(Duration::from_secs(11));
        origin.replies(&path, bytes(&format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n")));
        for calls in [2, 2] {
            let answer = gateway.get(&path).await;
            assert_eq!((answer.status, answer.body.as_str()), (200, "[1]"), "{status}");
            let expected = "ikgate; fwd=stale; detail=stale-if-error";
            assert_eq!(answer.field("cache-status"), expected, "{status}");
            assert_eq!(origin.requests_for(&path), calls, "{status}: the breaker counts it");
        }
        gateway.finish().await;
    }
}

/// RFC 9110 section 6.5.1, RFC 9111 section 3.1.
#[tokio::test]
async fn a_trailer_changes_no_field_and_no_rule_of_storing() {
    let origin = Origin::start().await;
    let path = versions_of(FILE);
    let trailers = "Age: 50\r\nCache-Control: no-store\r\nVary: *\r\nContent-Encoding: br\r\n";
    origin.replies(
        &path,
        bytes(&format!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n[1]\r\n0\r\n{trailers}\r\n"
        )),
    );
    let gateway = TestGateway::start(&origin);
    gateway.clock.advance(Duration::from_hours(1));
    for status in ["ikgate; fwd=uri-miss; fwd-status=200; stored", "ikgate; hit; ttl=60"] {
        let answer = gateway.get(&path).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "[1]"));
        assert_eq!((answer.field("cache-status"), answer.field("age")), (status, "0"));
    }
    gateway.finish().await;
}

/// RFC 9110 section 7.6.1.
#[tokio::test]
async fn what_is_for_one_connection_goes_no_further_in_either_direction() {
    let hop_by_hop = [
        ("Connection", "X-Canary, keep-alive"),
        ("X-Canary", "canary"),
        ("Keep-Alive", "timeout=canary"),
        ("Proxy-Connection", "canary"),
        ("Proxy-Authorization", "canary"),
        ("Proxy-Authenticate", "canary"),
        ("TE", "trailers"),
        ("Upgrade", "canary"),
    ];
    let origin = Origin::start().await;
    let path = versions_of(FILE);
    let lines: String = hop_by_hop.map(|(name, value)| format!("{name}: {value}\r\n")).concat();
    origin.replies(&path, Reply::with_fields(200, &lines, "[]"));
    let gateway = TestGateway::start(&origin);
    let answer = gateway.send("GET", &path, &hop_by_hop).await;
    assert_eq!(answer.status, 200);
    let requests = origin.requests();
    let [request] = requests.as_slice() else { panic!("{requests:#?}") };
    for (name, _) in hop_by_hop {
        assert_eq!(answer.find(name), None, "{name}");
        let line = format!("\r\n{}:", name.to_lowercase());
        assert!(!request.to_lowercase().contains(&line), "{name}: {request}");
    }
    assert!(!format!("{answer:?}{request}").contains("canary"), "{answer:#?} {request}");
    gateway.finish().await;
}

/// RFC 9111 section 4. The gateway deviates from it to save the account's call budget.
#[tokio::test]
async fn who_waits_for_a_list_that_must_not_be_stored_shares_it_and_the_next_does_not() {
    let origin = Origin::start().await;
    let path = versions_of(FILE);
    origin.replies(&path, Reply::with_fields(200, "Cache-Control: no-store\r\n", "[1]"));
    origin.hold(&path);
    let gateway = TestGateway::start(&origin);
    let (mut first, mut second) = (gateway.ask(FILE).await, gateway.ask(FILE).await);
    gateway.has_waiting(FILE, 2).await;
    origin.release(&path);
    for waiting in [&mut first, &mut second] {
        assert_eq!(waiting.read("GET").await.unwrap().body, "[1]");
    }
    assert_eq!(origin.requests_for(&path), 1);
    assert_eq!(gateway.get(&path).await.body, "[1]");
    assert_eq!(origin.requests_for(&path), 2);
    gateway.finish().await;
}

/// RFC 9110 section 7.6: a loop ends, because the private key for the upstream is no caller key.
#[tokio::test]
async fn a_gateway_that_is_its_own_upstream_asks_itself_once_and_refuses_that() {
    let itself = Arc::<OnceLock<std::net::SocketAddr>>::default();
    let at = Arc::clone(&itself);
    let (around, _listening) = listen(move |mut stream: TcpStream| {
        let at = Arc::clone(&at);
        async move {
            let mut own = TcpStream::connect(*at.get().unwrap()).await.unwrap();
            _ = copy_bidirectional(&mut stream, &mut own).await;
        }
    })
    .await;
    let more = format!("upstream.url = \"http://{around}\"");
    let gateway = TestGateway::configured(&Origin::start().await, &more);
    itself.set(gateway.public).unwrap();
    let answer = gateway.get(&versions_of(FILE)).await;
    assert_eq!((answer.status, answer.code().as_str()), (502, "upstream_auth"));
    let calls = "ikgate_upstream_requests_total{outcome=\"auth\"}";
    assert_eq!(gateway.metric(calls).await, Some(1.0));
}
