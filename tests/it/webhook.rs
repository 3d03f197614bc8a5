//! Tests of ImageKit's webhooks: from the received event to the next response for the file.

use std::time::{Duration, SystemTime};

use ikgate::invalidation::SigningSecret;
use ikgate::secret::Secret;

use crate::support::{Answer, Connection, FILE, Origin, Reply, TestGateway, scratch, versions_of};

const PATH: &str = "/webhooks/imagekit";
const SECRET: &str = "whsec_xeO2UNkfKMQnfJf7Q/Qx+fYptL1wabXd";

fn secret() -> SigningSecret {
    SigningSecret::new(Secret::new(SECRET.to_owned()))
}

fn start(origin: &Origin) -> TestGateway {
    configured(origin, "")
}

fn configured(origin: &Origin, more: &str) -> TestGateway {
    let directory = scratch();
    let file = directory.path().join("webhook.secret");
    std::fs::write(&file, SECRET).unwrap();
    let more = format!(
        "{more}[webhooks]\nsecret_file = \"{}\"\n\
         [limits]\nanonymous = {{ per_second = 100000, burst = 100000 }}",
        file.display()
    );
    TestGateway::configured(origin, &more)
}

fn deleted(event: &str) -> String {
    format!("{{\"id\":\"{event}\",\"type\":\"file.deleted\",\"data\":{{\"fileId\":\"{FILE}\"}}}}")
}

async fn post(gateway: &TestGateway, fields: &str, body: &str) -> Answer {
    let length = body.len();
    let mut connection = Connection::open(gateway.public).await;
    let head =
        format!("POST {PATH} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n{fields}\r\n");
    connection.write(head + body).await;
    connection.read("POST").await.unwrap()
}

/// Sends an event, signed now in the older scheme.
async fn deliver(gateway: &TestGateway, body: &str) -> Answer {
    let signature = secret().sign_legacy(gateway.clock.wall(), body.as_bytes());
    post(gateway, &format!("x-ik-signature: {signature}\r\n"), body).await
}

async fn outcome(gateway: &TestGateway, outcome: &str) -> Option<f64> {
    let series = format!("ikgate_webhooks_total{{outcome=\"{outcome}\"}}");
    gateway.metric(&series).await
}

#[tokio::test]
async fn an_event_about_a_file_makes_its_next_answer_a_new_one() {
    let origin = Origin::start().await;
    let path = versions_of(FILE);
    origin.replies(&path, Reply::json(200, "[1]"));
    let gateway = start(&origin);
    gateway.get(&path).await;
    origin.replies(&path, Reply::json(200, "[2]"));
    let taken = deliver(&gateway, &deleted("evt_1")).await;
    assert_eq!((taken.status, taken.body.as_str()), (204, ""));
    assert_eq!(gateway.get(&path).await.body, "[2]");

    let api = format!("/api/cache/{FILE}");
    let shown = crate::support::get(gateway.admin, &api).await.json();
    assert_eq!(shown["last_invalidation"]["source"], "webhook");
    assert_eq!(outcome(&gateway, "applied").await, Some(1.0));
    let counted = "ikgate_invalidations_total{source=\"webhook\",kind=\"hard\"}";
    assert_eq!(gateway.metric(counted).await, Some(1.0));
    assert_eq!(gateway.metric("ikgate_webhook_last_seconds").await, Some(1_000_000_000.0));
    let counted =
        "ikgate_requests_total{route=\"webhook\",caller=\"none\",status=\"204\",cache=\"none\"}";
    assert_eq!(gateway.metric(counted).await, Some(1.0));
    gateway.finish().await;
}

#[tokio::test]
async fn either_scheme_will_do_and_a_body_in_chunks_too() {
    let origin = Origin::start().await;
    let gateway = start(&origin);
    let body = deleted("evt_1");
    let (time, signature) = secret().sign_standard("msg_1", gateway.clock.wall(), body.as_bytes());
    let fields = format!(
        "webhook-id: msg_1\r\nwebhook-timestamp: {time}\r\nwebhook-signature: {signature}\r\n"
    );
    assert_eq!(post(&gateway, &fields, &body).await.status, 204);
    let mut connection = Connection::open(gateway.public).await;
    let head = format!(
        "POST {PATH} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n{fields}\r\n\
         {:x}\r\n{body}\r\n0\r\n\r\n",
        body.len()
    );
    connection.write(head).await;
    assert_eq!(connection.read("POST").await.unwrap().status, 204);
    assert_eq!(outcome(&gateway, "applied").await, Some(1.0));
    assert_eq!(outcome(&gateway, "duplicate").await, Some(1.0));
    gateway.finish().await;
}

#[tokio::test]
async fn a_delivery_with_fields_of_other_names_is_not_signed() {
    let origin = Origin::start().await;
    let gateway = start(&origin);
    let body = deleted("evt_1");
    let (time, signature) = secret().sign_standard("msg_1", gateway.clock.wall(), body.as_bytes());
    for prefix in ["svix", "x-webhook"] {
        let fields = format!(
            "{prefix}-id: msg_1\r\n{prefix}-timestamp: {time}\r\n\
             {prefix}-signature: {signature}\r\n"
        );
        let refused = post(&gateway, &fields, &body).await;
        assert_eq!((refused.status, refused.code().as_str()), (401, "unauthorized"), "{prefix}");
    }
    assert_eq!(outcome(&gateway, "applied").await, Some(0.0));
    gateway.finish().await;
}

#[tokio::test]
async fn a_delivery_that_the_fleet_cannot_hear_of_is_503() {
    let origin = Origin::start().await;
    let gateway = configured(&origin, "[cluster]\nredis_url = \"redis://127.0.0.1:1\"\n");
    for delivery in 1..=2 {
        let partial = deliver(&gateway, &deleted("evt_1")).await;
        assert_eq!(partial.status, 503, "{partial:#?}");
        assert_eq!(outcome(&gateway, "partial").await, Some(f64::from(delivery)));
    }
    gateway.finish().await;
}

#[tokio::test]
async fn an_event_that_comes_again_costs_nothing() {
    let origin = Origin::start().await;
    let path = versions_of(FILE);
    origin.replies(&path, Reply::json(200, "[]"));
    let gateway = start(&origin);
    gateway.get(&path).await;
    for status in ["fwd=uri-miss", "hit", "hit"] {
        assert_eq!(deliver(&gateway, &deleted("evt_1")).await.status, 204);
        assert!(gateway.get(&path).await.field("cache-status").contains(status), "{status}");
    }
    assert_eq!(origin.requests_for(&path), 2);
    assert_eq!(outcome(&gateway, "duplicate").await, Some(2.0));
    // Another event is applied, also if its sender gives ids twice.
    let other = deleted("evt_1").replace("file.deleted", "file.updated");
    assert_ne!(other, deleted("evt_1"));
    assert_eq!(deliver(&gateway, &other).await.status, 204);
    assert!(gateway.get(&path).await.field("cache-status").contains("fwd=uri-miss"));
    gateway.finish().await;
}

/// Events that arrive during a fetch never start a fetch: only requests do.
#[tokio::test]
async fn a_burst_of_events_is_at_most_one_refresh_at_a_time() {
    let origin = Origin::start().await;
    let path = versions_of(FILE);
    origin.replies(&path, Reply::json(200, "[1]"));
    let gateway = start(&origin);
    gateway.get(&path).await;
    for number in 0..50 {
        assert_eq!(deliver(&gateway, &deleted(&format!("evt_{number}"))).await.status, 204);
    }
    assert_eq!(origin.requests_for(&path), 1, "events alone fetch nothing");
    origin.hold(&path);
    let mut waiting = Vec::new();
    for _ in 0..10 {
        waiting.push(gateway.ask(FILE).await);
    }
    gateway.has_waiting(FILE, 10).await;
    origin.has_seen(&path, 2).await;
    origin.release(&path);
    for connection in &mut waiting {
        assert_eq!(connection.read("GET").await.unwrap().status, 200);
    }
    assert_eq!(origin.requests_for(&path), 2);
    gateway.finish().await;
}

#[tokio::test]
async fn what_is_not_signed_for_this_gateway_changes_nothing() {
    let origin = Origin::start().await;
    let path = versions_of(FILE);
    origin.replies(&path, Reply::json(200, "[]"));
    let gateway = start(&origin);
    gateway.get(&path).await;
    let (body, now) = (deleted("evt_1"), gateway.clock.wall());
    let legacy = |secret: &SigningSecret, at: SystemTime| {
        format!("x-ik-signature: {}\r\n", secret.sign_legacy(at, body.as_bytes()))
    };
    let other = SigningSecret::new(Secret::new("whsec_other".to_owned()));
    let (minutes, more) = (Duration::from_mins(5), Duration::from_millis(1));
    let table = [
        (String::new(), "missing_signature"),
        ("x-ik-signature: t=1\r\n".to_owned(), "malformed_signature"),
        (legacy(&other, now), "incorrect_signature"),
        (legacy(&secret(), now - minutes - more), "out_of_tolerance"),
        (legacy(&secret(), now + minutes + more), "out_of_tolerance"),
    ];
    for (fields, expected) in &table {
        let refused = post(&gateway, fields, &body).await;
        assert_eq!((refused.status, refused.code().as_str()), (401, "unauthorized"), "{fields}");
        assert!(!refused.body.contains("whsec"), "{refused:#?}");
        assert!(outcome(&gateway, expected).await.is_some(), "{expected}");
    }
    assert!(gateway.get(&path).await.field("cache-status").contains("hit"));
    for at in [now - minutes, now + minutes] {
        assert_eq!(post(&gateway, &legacy(&secret(), at), &body).await.status, 204);
    }
    gateway.finish().await;
}

#[tokio::test]
async fn signed_events_that_concern_nothing_are_taken_and_counted() {
    let origin = Origin::start().await;
    let gateway = start(&origin);
    let video = r#"{"id":"e","type":"video.transformation.ready","data":{}}"#;
    assert_eq!(deliver(&gateway, video).await.status, 204);
    for odd in ["", "[]", r#"{"type":"file.updated","data":{}}"#] {
        assert_eq!(deliver(&gateway, odd).await.status, 204, "{odd}");
    }
    assert_eq!(outcome(&gateway, "ignored").await, Some(1.0));
    assert_eq!(outcome(&gateway, "invalid_event").await, Some(3.0));
    gateway.finish().await;
}

#[tokio::test]
async fn a_body_may_be_so_long_and_no_longer() {
    let origin = Origin::start().await;
    let gateway = start(&origin);
    let max = 256 * 1024;
    let longest = deleted("evt_1") + &" ".repeat(max - deleted("evt_1").len());
    assert_eq!(deliver(&gateway, &longest).await.status, 204);
    // A Content-Length above the limit is refused before the body arrives.
    let mut connection = Connection::open(gateway.public).await;
    let length = max + 1;
    let head = format!("POST {PATH} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
    connection.write(head).await;
    let refused = connection.read("POST").await.unwrap();
    assert_eq!((refused.status, refused.code().as_str()), (413, "too_large"));
    assert!(connection.is_closed().await);
    // A body above the limit without a Content-Length.
    let mut connection = Connection::open(gateway.public).await;
    let head = format!(
        "POST {PATH} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{length:x}\r\n"
    );
    connection.write(head + &longest + "x").await;
    let refused = connection.read("POST").await.unwrap();
    assert_eq!((refused.status, refused.code().as_str()), (413, "too_large"));
    assert_eq!(outcome(&gateway, "unread").await, Some(2.0));
    gateway.finish().await;
}

#[tokio::test]
async fn a_body_that_is_malformed_or_cut_off_is_a_bad_request() {
    let gateway = start(&Origin::start().await);
    let (length, chunked) = ("Content-Length: 9", "Transfer-Encoding: chunked");
    for (field, body) in [
        (length, "{"),
        (chunked, "4\r\nbo"),
        (chunked, "4\r\nbody\r\n"),
        (chunked, "x\r\nbody\r\n0\r\n\r\n"),
        (chunked, "4\r\nbodyx\r\n0\r\n\r\n"),
        (chunked, "fffffffffffffffff\r\nbody\r\n"),
    ] {
        let mut connection = Connection::open(gateway.public).await;
        let head = format!("POST {PATH} HTTP/1.1\r\nHost: a\r\n{field}\r\n\r\n");
        connection.write(head + body).await;
        connection.half_close().await;
        let refused = connection.read("POST").await.unwrap();
        assert_eq!((refused.status, refused.code().as_str()), (400, "bad_request"), "{body:?}");
        assert_eq!(refused.field("connection"), "close", "{body:?}");
        assert!(connection.is_closed().await, "{body:?}");
    }
    assert_eq!(outcome(&gateway, "unread").await, Some(6.0));
    gateway.finish().await;
}

/// An Origin field does not matter: pages take no part in webhooks (Fetch standard, HTTP requests).
#[tokio::test]
async fn an_event_with_an_origin_is_judged_by_its_signature_alone() {
    let gateway = start(&Origin::start().await);
    let body = deleted("evt_1");
    let signature = secret().sign_legacy(gateway.clock.wall(), body.as_bytes());
    let origin = "Origin: https://evil.example\r\n";
    let signed = format!("{origin}x-ik-signature: {signature}\r\n");
    assert_eq!(post(&gateway, &signed, &body).await.status, 204);
    assert_eq!(post(&gateway, origin, &body).await.status, 401);
    gateway.finish().await;
}

#[tokio::test]
async fn one_address_can_deliver_so_many_and_no_more_are_read_at_once() {
    let origin = Origin::start().await;
    let gateway = start(&origin);
    let mut stalled = Vec::new();
    for _ in 0..16 {
        let mut connection = Connection::open(gateway.public).await;
        let head = format!("POST {PATH} HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n{{");
        connection.write(head).await;
        stalled.push(connection);
    }
    let refused = async {
        loop {
            let answer = deliver(&gateway, &deleted("evt_1")).await;
            if answer.status == 429 {
                return answer;
            }
        }
    };
    let refused = tokio::time::timeout(Duration::from_secs(20), refused).await.unwrap();
    assert_eq!((refused.code().as_str(), refused.field("retry-after")), ("throttled", "1"));
    let bucket = (refused.field("x-ratelimit-limit"), refused.field("x-ratelimit-interval"));
    assert_eq!(bucket, ("500", "5000"));
    let throttled = "ikgate_throttled_total{caller=\"none\",limit=\"webhook\"}";
    assert!(gateway.metric(throttled).await.is_some());
    drop(stalled);
    let taken = async { while deliver(&gateway, &deleted("evt_1")).await.status != 204 {} };
    tokio::time::timeout(Duration::from_secs(20), taken).await.expect("places are given back");
    for _ in 0..500 {
        post(&gateway, "", "").await;
    }
    assert_eq!(deliver(&gateway, &deleted("evt_2")).await.status, 429, "forgeries spend too");
    gateway.clock.advance(Duration::from_secs(1));
    assert_eq!(deliver(&gateway, &deleted("evt_2")).await.status, 204);
    gateway.finish().await;
}

#[tokio::test]
async fn events_are_posted_and_only_where_they_are_configured() {
    let origin = Origin::start().await;
    let gateway = start(&origin);
    for method in ["GET", "PUT", "OPTIONS"] {
        let answer = gateway.send(method, PATH, &[]).await;
        assert_eq!((answer.status, answer.field("allow")), (405, "POST"), "{method}");
    }
    assert_eq!(gateway.send("POST", "/webhooks/imagekit?a", &[]).await.code(), "bad_request");
    let chunked = gateway.send("GET", PATH, &[("Transfer-Encoding", "chunked")]).await;
    assert_eq!((chunked.status, chunked.field("connection")), (400, "close"));
    gateway.finish().await;
    let gateway = TestGateway::start(&origin);
    assert_eq!(gateway.send("POST", PATH, &[]).await.code(), "no_route");
    gateway.finish().await;
}
