//! Plain requests for what is stored take a way of their own. Nobody can tell.

use crate::support::{Answer, Connection, FILE, Origin, Reply, TestGateway, versions_of};

const KEY: &str = "ikg_of_the_web_team";

/// Any request with this goes the whole way.
const WHOLE_WAY: (&str, &str) = ("TE", "trailers");

async fn started() -> (Origin, TestGateway) {
    let origin = Origin::start().await;
    let list = format!("[{}]", ["{\"a\":\"b\"}"; 300].join(","));
    origin.replies(&versions_of(FILE), Reply::json(200, &list));
    let digest = ikgate::caller::KeyDigest::of(KEY);
    let config = format!(
        "[limits]\nanonymous = {{ per_second = 1000, burst = 1000 }}\n\
         auth_failures = {{ per_second = 1000, burst = 1000 }}\n[cors]\nallowed_origins = [\"https://page.example\"]\n\
         [[callers]]\nname = \"web-team\"\nkey_sha256 = \"{digest}\""
    );
    let gateway = TestGateway::configured(&origin, &config);
    gateway.get(&versions_of(FILE)).await;
    gateway.get(&versions_of("missing")).await;
    gateway.has_encoded(FILE).await;
    (origin, gateway)
}

/// Without what is another one for each answer.
fn comparable(reply: &Answer) -> (u16, Vec<(String, String)>, String) {
    let own = ["date", "x-request-id", "ratelimit"];
    let mut fields: Vec<_> =
        reply.fields.iter().filter(|(name, _)| !own.contains(&name.as_str())).cloned().collect();
    fields.sort();
    (reply.status, fields, reply.body.clone())
}

#[tokio::test]
async fn both_ways_give_the_same_answer() {
    let (_origin, gateway) = started().await;
    let tag = gateway.get(&versions_of(FILE)).await.field("etag").to_owned();
    let bearer = format!("Bearer {KEY}");
    let requests: &[&[(&str, &str)]] = &[
        &[],
        &[("Accept-Encoding", "gzip")],
        &[("Connection", "close")],
        &[("Connection", "close"), ("Connection", "keep-alive")],
        &[("Accept-Encoding", "br;q=0.5, gzip;q=0.1, identity")],
        &[("If-None-Match", &tag)],
        &[("If-None-Match", "*"), ("Accept-Encoding", "br")],
        &[("If-None-Match", "\"a\""), ("If-None-Match", &tag)],
        &[("Origin", "https://page.example")],
        &[("Origin", "https://elsewhere.example")],
        &[("Authorization", &bearer)],
        &[("Authorization", &bearer), ("Authorization", &bearer)],
        &[("Authorization", "Bearer ikg_wrong")],
        &[("Cookie", "a=b"), ("User-Agent", "c"), ("X-Forwarded-For", "192.0.2.1")],
    ];
    for path in [
        versions_of(FILE),
        versions_of("missing"),
        format!("{}?a", versions_of(FILE)),
        format!("{}/", versions_of(FILE)),
        versions_of("%41"),
        "/".to_owned(),
    ] {
        for fields in requests {
            let plain = gateway.send("GET", &path, fields).await;
            let whole = gateway.send("GET", &path, &[fields, &[WHOLE_WAY][..]].concat()).await;
            assert_eq!(comparable(&plain), comparable(&whole), "{path} {fields:?}");
        }
    }
    gateway.finish().await;
}

#[tokio::test]
async fn a_connection_goes_both_ways_in_turn_and_answers_in_order() {
    let (origin, gateway) = started().await;
    origin.replies(&versions_of("other"), Reply::json(200, "[\"other\"]"));
    let mut connection = Connection::open(gateway.public).await;
    let request = |file: &str, more: &str| {
        format!("GET {} HTTP/1.1\r\nHost: a\r\n{more}\r\n", versions_of(file))
    };
    let all = [
        request("missing", ""),
        request("other", ""),
        "\r\n".to_owned(),
        request("other", ""),
        request("missing", "TE: trailers\r\n"),
        request("other", ""),
    ];
    for round in 0..2 {
        // At once, and then byte by byte.
        let sent = all.concat();
        if round == 0 {
            connection.write(sent).await;
        } else {
            for byte in sent.bytes() {
                connection.write([byte]).await;
            }
        }
        for status in [404, 200, 200, 404, 200] {
            assert_eq!(connection.read("GET").await.unwrap().status, status, "{round}");
        }
    }
    // Whatever the first is answered by, half of the next one is behind it.
    for first in ["missing", "never-stored"] {
        let (half, rest) = ("GET / HTTP/1.1\r\nHo", "st: a\r\n\r\n");
        connection.write(request(first, "") + half).await;
        assert_eq!(connection.read("GET").await.unwrap().status, 404);
        connection.write(rest).await;
        assert_eq!(connection.read("GET").await.unwrap().code(), "no_route");
    }
    drop(connection);
    gateway.finish().await;
}

#[tokio::test]
async fn a_body_is_never_taken_for_the_next_request() {
    let (_origin, gateway) = started().await;
    let hidden = format!("GET {} HTTP/1.1\r\nHost: a\r\n\r\n", versions_of(FILE));
    let mut connection = Connection::open(gateway.public).await;
    for method in ["GET", "POST"] {
        let head = format!(
            "{method} {} HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n",
            versions_of(FILE),
            hidden.len()
        );
        connection.write(head).await;
        if method == "POST" {
            assert_eq!(connection.read("POST").await.unwrap().status, 405);
        }
        connection.write(hidden.clone()).await;
        if method == "GET" {
            assert_eq!(connection.read("GET").await.unwrap().status, 200);
            let next = format!("GET {} HTTP/1.1\r\nHost: a\r\n\r\n", versions_of("missing"));
            connection.write(next).await;
            assert_eq!(connection.read("GET").await.unwrap().status, 404, "not the hidden one");
        }
    }
    // hyper may read it away or close, but nothing answers it.
    assert!(connection.read("GET").await.is_none_or(|reply| reply.status == 400));
    gateway.finish().await;
}
