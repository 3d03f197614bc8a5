//! Tests of hostile and malformed input from the Internet: each input is answered, refused or cut
//! at once, and no forbidden part of it reaches the upstream.

use crate::support::{Connection, FILE, Origin, Reply, TestGateway, versions_of};

/// Expected result of an input.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Class {
    /// Answered like any other.
    Served,
    /// Refused with this status; the connection stays open.
    Refused(u16),
    /// Refused with this status, and the connection ends: the bytes that follow cannot be trusted.
    Ended(u16),
}

use Class::{Ended, Refused, Served};

/// Inputs with their expected results. `@` stands for the path of a list.
const CORPUS: [(&str, Class, &[u8]); 59] = [
    ("plain", Served, b"GET @ HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("HTTP/1.0", Served, b"GET @ HTTP/1.0\r\n\r\n"),
    ("HTTP/1.0 with a Host", Served, b"GET @ HTTP/1.0\r\nHost: a\r\n\r\n"),
    ("line ends before it", Served, b"\r\n\r\nGET @ HTTP/1.1\r\nHost: a\r\n\r\n"),
    // RFC 9112 section 2.2 lets a recipient take a single LF for a line end.
    ("line ends without CR", Served, b"GET @ HTTP/1.1\nHost: a\n\n"),
    ("absolute form", Served, b"GET http://b@ HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("absolute form of https", Served, b"GET https://b:443@ HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("a name in any case", Served, b"GET @ HTTP/1.1\r\nhOsT: a\r\n\r\n"),
    ("a body of no use", Served, b"GET @ HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody"),
    (
        "the same length twice",
        Served,
        b"GET @ HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n",
    ),
    (
        "an upgrade nobody wants",
        Served,
        b"GET @ HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\
          HTTP2-Settings: AAMAAABk\r\n\r\n",
    ),
    ("octets beyond ASCII in a value", Served, b"GET @ HTTP/1.1\r\nHost: a\r\nX: \xc3\xa4\r\n\r\n"),
    // Not allowed in a target (RFC 9112 section 3.2).
    ("a fragment", Ended(400), b"GET @#a HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("another path", Refused(404), b"GET /etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("two slashes", Refused(404), b"GET /@ HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("asterisk form", Refused(204), b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("a query", Refused(400), b"GET @?a=b HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("an encoded path", Refused(400), b"GET /v1/files/%2e%2e/versions HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("a method of its own", Refused(405), b"BREW @ HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("a method in lower case", Refused(405), b"get @ HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("no Host", Ended(400), b"GET @ HTTP/1.1\r\n\r\n"),
    ("two Hosts", Ended(400), b"GET @ HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"),
    ("two Hosts, in HTTP/1.0", Ended(400), b"GET @ HTTP/1.0\r\nHost: a\r\nhost: b\r\n\r\n"),
    ("an empty Host", Ended(400), b"GET @ HTTP/1.1\r\nHost:\r\n\r\n"),
    ("a Host of two", Ended(400), b"GET @ HTTP/1.1\r\nHost: a, b\r\n\r\n"),
    ("a Host with a path", Ended(400), b"GET @ HTTP/1.1\r\nHost: a/b\r\n\r\n"),
    ("a Host with a user", Ended(400), b"GET @ HTTP/1.1\r\nHost: u@a\r\n\r\n"),
    ("authority form", Ended(400), b"GET a:80 HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("CONNECT", Ended(400), b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("another scheme", Ended(400), b"GET ftp://a@ HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("a user in the target", Ended(400), b"GET http://u@a@ HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("chunks", Ended(400), b"GET @ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    (
        "a length and chunks",
        Ended(400),
        b"GET @ HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    ("no chunks", Ended(400), b"GET @ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n"),
    ("nearly chunks", Ended(400), b"GET @ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n"),
    (
        "chunks that are not last",
        Ended(400),
        b"GET @ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n",
    ),
    ("chunks in HTTP/1.0", Ended(400), b"GET @ HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    (
        "two lengths",
        Ended(400),
        b"GET @ HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 5\r\n\r\n",
    ),
    ("a signed length", Ended(400), b"GET @ HTTP/1.1\r\nHost: a\r\nContent-Length: +0\r\n\r\n"),
    ("a negative length", Ended(400), b"GET @ HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n"),
    ("a length in hex", Ended(400), b"GET @ HTTP/1.1\r\nHost: a\r\nContent-Length: 0x0\r\n\r\n"),
    ("no length", Ended(400), b"GET @ HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n"),
    (
        "a length beyond numbers",
        Ended(400),
        b"GET @ HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n",
    ),
    ("a long body", Ended(413), b"GET @ HTTP/1.1\r\nHost: a\r\nContent-Length: 65537\r\n\r\n"),
    ("a folded line", Ended(400), b"GET @ HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n"),
    ("a blank before a colon", Ended(400), b"GET @ HTTP/1.1\r\nHost : a\r\n\r\n"),
    ("a field without a colon", Ended(400), b"GET @ HTTP/1.1\r\nHost: a\r\nX\r\n\r\n"),
    ("a field without a name", Ended(400), b"GET @ HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n"),
    ("a NUL in a value", Ended(400), b"GET @ HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n"),
    ("a CR in a value", Ended(400), b"GET @ HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n"),
    ("two blanks", Ended(400), b"GET  @ HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("tabs", Ended(400), b"GET\t@\tHTTP/1.1\r\nHost: a\r\n\r\n"),
    ("a blank first", Ended(400), b" GET @ HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("a control character in the target", Ended(400), b"GET @\x01 HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("HTTP/0.9", Ended(400), b"GET @\r\n\r\n"),
    ("HTTP/1.2", Ended(400), b"GET @ HTTP/1.2\r\nHost: a\r\n\r\n"),
    ("HTTP in lower case", Ended(400), b"GET @ http/1.1\r\nHost: a\r\n\r\n"),
    ("a method of odd characters", Ended(400), b"G(T @ HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("the start of TLS", Ended(400), b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
];

#[tokio::test]
async fn each_request_of_the_corpus_is_of_its_class() {
    let origin = Origin::start().await;
    let path = versions_of(FILE);
    origin.replies(&path, Reply::json(200, "[]"));
    let gateway = TestGateway::start(&origin);
    let well_formed = format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut wrong = Vec::new();
    for (name, class, request) in CORPUS {
        let at = request.iter().rposition(|&byte| byte == b'@');
        // The `@` of user information is not a placeholder.
        let request = match at {
            Some(at) if request[at..].starts_with(b"@a\r\n") => request.to_vec(),
            Some(at) => [&request[..at], path.as_bytes(), &request[at + 1..]].concat(),
            None => request.to_vec(),
        };
        let mut connection = Connection::open(gateway.public).await;
        connection.write(&request).await;
        let answer = connection.read("GET").await;
        let status = answer.as_ref().map(|answer| answer.status);
        let keeps = answer.is_some_and(|answer| answer.find("connection") != Some("close"));
        let found = match status {
            Some(200) => Some(Served),
            Some(status) if keeps && connection.answers(&well_formed).await => {
                Some(Refused(status))
            }
            Some(status) => Some(Ended(status)),
            None => None,
        };
        if found != Some(class) {
            wrong.push((name, class, found));
        }
        if matches!(class, Ended(_)) && !connection.is_closed().await {
            wrong.push((name, class, None));
        }
    }
    assert_eq!(wrong, []);
    assert_eq!(origin.requests_for(&path), 1, "all the others were hits");
    assert_eq!(origin.requests().len(), 1);
    gateway.finish().await;
}

#[tokio::test]
async fn what_follows_a_request_that_is_refused_for_its_framing_is_not_a_request() {
    let origin = Origin::start().await;
    let path = versions_of(FILE);
    origin.replies(&path, Reply::json(200, "[]"));
    let gateway = TestGateway::start(&origin);
    for framing in [
        "Content-Length: 5\r\nContent-Length: 6",
        "Transfer-Encoding: chunked",
        "Content-Length: 70000",
    ] {
        let mut connection = Connection::open(gateway.public).await;
        let first = format!("GET {path} HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n");
        connection.write(format!("{first}0\r\n\r\nGET {path} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
        assert!(connection.read("GET").await.unwrap().status >= 400, "{framing}");
        assert!(connection.is_closed().await, "{framing}");
    }
    assert_eq!(origin.requests(), Vec::<String>::new());
    gateway.finish().await;
}

/// Heads that cannot be parsed, on both listeners: each response has the common fields, and is
/// reported once.
#[tokio::test]
async fn a_head_that_cannot_be_read_is_answered_like_any_other_and_reported_once() {
    let gateway = TestGateway::start(&Origin::start().await);
    let long = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(70_000));
    for (head, status, code) in [
        ("GET / HTTP/1.1\r\nHost a\r\n\r\n", 400, "bad_request"),
        // The parser of the fast path accepts this head, hyper's does not.
        ("GET /v1/files/a<b/versions HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad_request"),
        (long.as_str(), 431, "too_large"),
    ] {
        for address in [gateway.public, gateway.admin] {
            let mut connection = Connection::open(address).await;
            connection.write(head).await;
            let answer = connection.read("GET").await.unwrap();
            assert_eq!((answer.status, answer.code().as_str()), (status, code));
            assert_eq!(answer.field("connection"), "close");
            assert!(answer.field("date").ends_with(" GMT"), "{answer:#?}");
            assert!(connection.is_closed().await);
        }
        let seen = gateway.exchanges.ended(1).await;
        assert_eq!(seen[0].status, u64::from(status));
    }
    let exchanges = gateway.exchanges.clone();
    gateway.finish().await;
    exchanges.ended(0).await;
}

/// A close with unread bytes resets the connection, and the reset destroys a response that is still
/// on its way.
#[tokio::test]
async fn a_client_that_sends_too_much_gets_to_read_so() {
    let gateway = TestGateway::start(&Origin::start().await);
    let path = versions_of(FILE);
    // hyper does not close a connection itself whose client would have upgraded.
    for upgrade in ["", "Connection: Upgrade\r\nUpgrade: other\r\n"].repeat(10) {
        let mut connection = Connection::open(gateway.public).await;
        let length = "Content-Length: 400000\r\n";
        let head = format!("GET {path} HTTP/1.1\r\nHost: a\r\n{upgrade}{length}\r\n");
        connection.write(head + &"x".repeat(400_000)).await;
        assert_eq!(connection.read("GET").await.unwrap().code(), "too_large");
        assert!(connection.ends_in_order().await, "{upgrade:?}");
    }
    gateway.finish().await;
}

#[tokio::test]
async fn more_fields_or_bytes_than_a_head_may_have_are_refused() {
    let origin = Origin::start().await;
    let gateway = TestGateway::start(&origin);
    let path = versions_of(FILE);
    let many = "X: a\r\n".repeat(101);
    let long = "x".repeat(17_000);
    for head in [
        format!("GET {path} HTTP/1.1\r\nHost: a\r\n{many}\r\n"),
        format!("GET {path} HTTP/1.1\r\nHost: a\r\nX: {long}\r\n\r\n"),
        format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n"),
        format!("{long} / HTTP/1.1\r\nHost: a\r\n\r\n"),
    ] {
        let mut connection = Connection::open(gateway.public).await;
        connection.write(&head).await;
        let shown: String = head.chars().take(60).collect();
        assert_eq!(connection.read("GET").await.unwrap().status, 431, "{shown}");
        assert!(connection.is_closed().await, "{shown}");
    }
    gateway.finish().await;
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_of_a_head_is_forgotten() {
    let origin = Origin::start().await;
    let gateway = TestGateway::start(&origin);
    let whole = format!("GET {} HTTP/1.1\r\nHost: a\r\n\r\n", versions_of(FILE));
    for length in 1..whole.len() {
        let mut connection = Connection::open(gateway.public).await;
        connection.write(&whole[..length]).await;
    }
    gateway.has_connections(0).await;
    assert_eq!(origin.requests(), Vec::<String>::new());
    gateway.finish().await;
}

/// RFC 9110 section 10.1.1: a client that sends `Expect: 100-continue` gets 100, then sends its
/// body.
#[tokio::test]
async fn an_expectation_is_met() {
    let origin = Origin::start().await;
    let path = versions_of(FILE);
    origin.replies(&path, Reply::json(200, "[]"));
    let gateway = TestGateway::start(&origin);
    let mut connection = Connection::open(gateway.public).await;
    let head = format!(
        "GET {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n"
    );
    connection.write(head).await;
    assert_eq!(connection.read("HEAD").await.unwrap().status, 100);
    connection.write("body").await;
    assert_eq!(connection.read("GET").await.unwrap().status, 200);
    gateway.finish().await;
}
