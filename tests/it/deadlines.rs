//! Tests of the deadlines for clients: a stalled client occupies its own connection for a short
//! time.
//!
//! Deadlines run in real time and are short here. Deadlines that must not fire are generous.

use std::time::Duration;

use crate::support::{Connection, FILE, Origin, Reply, TestGateway, versions_of};

fn request() -> String {
    format!("GET {} HTTP/1.1\r\nHost: a\r\n\r\n", versions_of(FILE))
}

async fn gateway(body: &str, server: &str) -> (Origin, TestGateway) {
    let origin = Origin::start().await;
    origin.replies(&versions_of(FILE), Reply::json(200, body));
    let gateway = TestGateway::configured(&origin, &format!("[server]\n{server}"));
    (origin, gateway)
}

fn ended_by(deadline: &str) -> String {
    format!("ikgate_connection_deadlines_total{{deadline=\"{deadline}\"}}")
}

#[tokio::test]
async fn a_head_that_never_ends_is_timed_out_and_counted() {
    let (_origin, gateway) = gateway("[]", "header_timeout = \"50ms\"").await;
    let mut slow = Connection::open(gateway.public).await;
    slow.write("GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ").await;
    let answer = slow.read("GET").await.unwrap();
    assert_eq!((answer.status, answer.field("connection")), (408, "close"));
    assert!(slow.is_closed().await);
    assert_eq!(gateway.metric(&ended_by("header")).await, Some(1.0));
    let counted =
        "ikgate_requests_total{route=\"none\",caller=\"none\",status=\"408\",cache=\"none\"}";
    assert_eq!(gateway.metric(counted).await, Some(1.0));
    gateway.finish().await;
}

#[tokio::test]
async fn half_a_head_behind_an_answer_from_memory_is_timed_out_like_any_other() {
    let (_origin, gateway) = gateway("[]", "header_timeout = \"50ms\"").await;
    let mut first = Connection::open(gateway.public).await;
    first.write(request()).await;
    assert_eq!(first.read("GET").await.unwrap().status, 200);
    first.write(format!("{}GET / HTTP/1.1\r\nHo", request())).await;
    assert_eq!(first.read("GET").await.unwrap().status, 200);
    assert_eq!(first.read("GET").await.unwrap().status, 408);
    gateway.finish().await;
}

#[tokio::test]
async fn a_connection_that_waits_for_longer_than_a_head_may_take_is_kept() {
    let (_origin, gateway) = gateway("[]", "header_timeout = \"20ms\"").await;
    let mut patient = Connection::open(gateway.public).await;
    patient.write(format!("{}\r\n", request())).await;
    assert_eq!(patient.read("GET").await.unwrap().status, 200);
    // Another connection reaches the deadline that this one must not have.
    let mut slow = Connection::open(gateway.public).await;
    slow.write("GET").await;
    assert_eq!(slow.read("GET").await.unwrap().status, 408);
    patient.write(request()).await;
    assert_eq!(patient.read("GET").await.unwrap().status, 200);
    gateway.finish().await;
}

#[tokio::test]
async fn a_request_that_waits_for_the_upstream_is_neither_slow_nor_idle() {
    let limits =
        "header_timeout = \"20ms\"\nidle_timeout = \"20ms\"\nwrite_stall_timeout = \"20ms\"";
    let (origin, gateway) = gateway("[]", limits).await;
    origin.hold(&versions_of(FILE));
    let mut waiting = Connection::open(gateway.public).await;
    waiting.write(request()).await;
    origin.has_seen(&versions_of(FILE), 1).await;
    let mut idle = Connection::open(gateway.public).await;
    assert!(idle.is_closed().await);
    origin.release(&versions_of(FILE));
    assert_eq!(waiting.read("GET").await.unwrap().status, 200);
    gateway.finish().await;
}

#[tokio::test]
async fn an_idle_connection_is_closed_whether_or_not_it_was_used() {
    let (_origin, gateway) = gateway("[]", "idle_timeout = \"50ms\"").await;
    let mut unused = Connection::open(gateway.public).await;
    let mut used = Connection::open(gateway.public).await;
    used.write(request()).await;
    assert_eq!(used.read("GET").await.unwrap().status, 200);
    assert!(used.is_closed().await);
    assert!(unused.is_closed().await);
    assert_eq!(gateway.metric(&ended_by("idle")).await, Some(2.0));
    gateway.finish().await;
}

#[tokio::test]
async fn a_client_that_takes_nothing_of_its_answer_is_cut_and_no_other_waits() {
    // The body is larger than the kernel's buffers of a connection.
    let body = format!("[\"{}\"]", "x".repeat(4_000_000));
    let (_origin, gateway) = gateway(&body, "write_stall_timeout = \"100ms\"").await;
    let mut greedy = Connection::open(gateway.public).await;
    greedy.write(request().repeat(16)).await;
    gateway.has_counted(&ended_by("write_stall"), 1.0).await;
    gateway.has_connections(0).await;
    assert_eq!(gateway.get(&versions_of(FILE)).await.status, 200);
    gateway.finish().await;
}

#[tokio::test]
async fn a_connection_of_some_age_ends_with_its_next_answer() {
    let (_origin, gateway) = gateway("[]", "max_connection_age = \"200ms\"").await;
    let mut old = Connection::open(gateway.public).await;
    let ended = async {
        loop {
            old.write(request()).await;
            let answer = old.read("GET").await.expect("closed without an answer");
            if answer.find("connection") == Some("close") {
                return old.is_closed().await;
            }
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(20), ended).await.expect("it stays open"));
    assert_eq!(gateway.metric(&ended_by("age")).await, Some(1.0));
    gateway.finish().await;
}

#[tokio::test]
async fn one_address_has_so_many_connections_and_a_further_one_is_reset() {
    let (_origin, gateway) = gateway("[]", "max_connections_per_ip = 2").await;
    let mut first = Connection::open(gateway.public).await;
    let mut second = Connection::open(gateway.public).await;
    for connection in [&mut first, &mut second] {
        connection.write(request()).await;
        assert_eq!(connection.read("GET").await.unwrap().status, 200);
    }
    let mut third = Connection::open(gateway.public).await;
    assert!(third.is_reset().await);
    let refused = "ikgate_connections_refused_total{reason=\"per_ip\"}";
    assert_eq!(gateway.metric(refused).await, Some(1.0));
    drop(first);
    gateway.has_connections(1).await;
    let mut again = Connection::open(gateway.public).await;
    again.write(request()).await;
    assert_eq!(again.read("GET").await.unwrap().status, 200);
    gateway.finish().await;
}

#[tokio::test]
async fn a_trusted_proxy_may_have_more() {
    let more = "max_connections_per_ip = 1\ntrusted_proxies = [\"127.0.0.0/8\"]";
    let (_origin, gateway) = gateway("[]", more).await;
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut connection = Connection::open(gateway.public).await;
        connection.write(request()).await;
        assert_eq!(connection.read("GET").await.unwrap().status, 200);
        held.push(connection);
    }
    drop(held);
    gateway.finish().await;
}

#[tokio::test]
async fn heads_that_cannot_be_read_are_counted() {
    let (_origin, gateway) = gateway("[]", "").await;
    for (head, status) in [
        ("nonsense\r\n\r\n".to_owned(), 400),
        (format!("GET / HTTP/1.1\r\nX: {}\r\n", "x".repeat(17_000)), 431),
    ] {
        let mut connection = Connection::open(gateway.public).await;
        connection.write(head).await;
        assert_eq!(connection.read("GET").await.unwrap().status, status);
        let counted = format!(
            "ikgate_requests_total{{route=\"none\",caller=\"none\",status=\"{status}\",cache=\"none\"}}"
        );
        gateway.has_counted(&counted, 1.0).await;
    }
    gateway.finish().await;
}
