//! Heads that a careful gateway does not answer, byte by byte.

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
