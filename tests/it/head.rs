//! Tests of malformed and ambiguous request heads, byte by byte: the gateway refuses them.

use crate::support::{Connection, FILE, Origin, Reply, TestGateway, versions_of};

async fn first_status(gateway: &TestGateway, request: &str) -> Option<u16> {
    let mut connection = Connection::open(gateway.public).await;
    connection.write(request).await;
    connection.read("GET").await.map(|answer| answer.status)
}

#[tokio::test]
async fn each_rule_of_the_head_is_kept() {
    let origin = Origin::start().await;
    let path = versions_of(FILE);
    origin.replies(&path, Reply::json(200, "[]"));
    let gateway = TestGateway::start(&origin);
    let table = [
        (format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"), 200),
        (format!("GET {path} HTTP/1.0\r\n\r\n"), 200),
        (format!("GET http://b{path} HTTP/1.1\r\nHost: a\r\n\r\n"), 200),
        (format!("GET {path} HTTP/1.1\r\n\r\n"), 400),
        (format!("GET {path} HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"), 400),
        (format!("GET {path} HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n"), 400),
        (format!("GET {path} HTTP/1.1\r\nHost: a b\r\n\r\n"), 400),
        ("GET example.com:80 HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), 400),
        ("CONNECT example.com:80 HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), 400),
        (
            format!(
                "GET {path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
            ),
            400,
        ),
        (format!("GET {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 65537\r\n\r\n"), 413),
        // A path or a method that is wrong is told before the length of a body.
        (format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 65537\r\n\r\n"), 405),
        (format!("GET {path}/ HTTP/1.1\r\nHost: a\r\nContent-Length: 65537\r\n\r\n"), 400),
        ("GET /no HTTP/1.1\r\nHost: a\r\nContent-Length: 65537\r\n\r\n".to_owned(), 404),
        (format!("GET {path}\r\n\r\n"), 400),
        ("\u{1}\r\n\r\n".to_owned(), 400),
        (format!("GET {path} HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(17_000)), 431),
    ];
    for (request, status) in table {
        let shown: String = request.chars().take(120).collect();
        assert_eq!(first_status(&gateway, &request).await, Some(status), "{shown:?}");
    }
    assert_eq!(origin.requests_for(&path), 1);
    gateway.finish().await;
}

#[tokio::test]
async fn a_transfer_encoding_ends_the_connection() {
    let origin = Origin::start().await;
    let gateway = TestGateway::start(&origin);
    let path = versions_of(FILE);
    let mut connection = Connection::open(gateway.public).await;
    let smuggled = format!(
        "GET {path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n\
         GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"
    );
    connection.write(smuggled).await;
    let refused = connection.read("GET").await.unwrap();
    assert_eq!((refused.status, refused.field("connection")), (400, "close"));
    assert!(connection.is_closed().await);
    assert_eq!(origin.requests(), Vec::<String>::new());
    gateway.finish().await;
}

#[tokio::test]
async fn a_needless_body_is_read_away_and_the_connection_kept() {
    let origin = Origin::start().await;
    let path = versions_of(FILE);
    origin.replies(&path, Reply::json(200, "[]"));
    let gateway = TestGateway::start(&origin);
    let mut connection = Connection::open(gateway.public).await;
    for _ in 0..2 {
        let body = "x".repeat(65_536);
        let head = format!("GET {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 65536\r\n\r\n");
        connection.write(head + &body).await;
        assert_eq!(connection.read("GET").await.unwrap().status, 200);
    }
    gateway.finish().await;
}

#[tokio::test]
async fn pipelined_requests_and_stray_line_ends_are_answered_at_once() {
    let origin = Origin::start().await;
    let path = versions_of(FILE);
    origin.replies(&path, Reply::json(200, "[]"));
    let gateway = TestGateway::start(&origin);
    let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut connection = Connection::open(gateway.public).await;
    connection.write(request.repeat(2)).await;
    for _ in 0..2 {
        assert_eq!(connection.read("GET").await.unwrap().status, 200);
    }
    connection.write(format!("{request}\r\n")).await;
    assert_eq!(connection.read("GET").await.unwrap().status, 200);
    gateway.finish().await;
}

#[tokio::test]
async fn a_needless_body_that_is_cut_off_is_a_bad_request() {
    let gateway = TestGateway::start(&Origin::start().await);
    let path = versions_of(FILE);
    for method in ["GET", "OPTIONS"] {
        let mut connection = Connection::open(gateway.public).await;
        let head = format!("{method} {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n");
        connection.write(head + "body").await;
        connection.half_close().await;
        let refused = connection.read(method).await.unwrap();
        assert_eq!((refused.status, refused.code().as_str()), (400, "bad_request"), "{method}");
        assert_eq!(refused.field("connection"), "close", "{method}");
        assert!(connection.is_closed().await, "{method}");
    }
    gateway.finish().await;
}

/// RFC 9110 section 6.6.1: each response has a Date field with the time of the response.
#[tokio::test]
async fn every_answer_of_every_kind_has_one_date() {
    let origin = Origin::start().await;
    let path = versions_of(FILE);
    origin.replies(&path, Reply::json(200, "[]"));
    let gateway = TestGateway::configured(&origin, "server.header_timeout = \"100ms\"");
    gateway.get(&path).await;
    let whole = |method: &str, target: &str, field: &str| {
        format!("{method} {target} HTTP/1.1\r\nHost: a\r\n{field}\r\n")
    };
    let long = format!("X: {}\r\n", "x".repeat(17_000));
    for (request, status) in [
        (whole("GET", &path, ""), 200),
        (whole("GET", &path, "TE: trailers\r\n"), 200),
        (whole("OPTIONS", &path, ""), 204),
        (whole("GET", &path, "If-None-Match: *\r\n"), 304),
        (whole("GET", &path, "Host: b\r\n"), 400),
        (whole("GET", &path, "X : a\r\n"), 400),
        (whole("GET", &path, "Authorization: Bearer wrong\r\n"), 401),
        (whole("GET", "/v1/files/none/versions", ""), 404),
        (whole("GET", "/nothing", ""), 404),
        (whole("POST", &path, ""), 405),
        ("GET".to_owned(), 408),
        (whole("GET", &path, "Content-Length: 65537\r\n"), 413),
        (whole("GET", &path, &long), 431),
    ] {
        let mut connection = Connection::open(gateway.public).await;
        connection.write(&request).await;
        let answer = connection.read("GET").await.unwrap();
        assert_eq!(answer.status, status, "{request:.80}");
        assert_eq!(answer.field("date"), "Sun, 09 Sep 2001 01:46:40 GMT", "{request:.80}");
    }
    gateway.finish().await;
}
