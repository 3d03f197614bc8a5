//! TLS towards callers: who is answered, in which HTTP, and with which certificate.

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use ikgate::server::{Tls, TlsChange, TlsError, TlsFiles};

use crate::support::{
    Authority, Connection, FILE, Origin, Reply, TestGateway, scratch, section, secured, versions_of,
};

struct Secured {
    origin: Origin,
    gateway: TestGateway,
    authority: Authority,
    directory: tempfile::TempDir,
}

impl Secured {
    async fn start() -> Self {
        let directory = scratch();
        let (authority, tls) = secured(directory.path());
        let origin = Origin::start().await;
        origin.replies(&versions_of(FILE), Reply::json(200, "[1,2]"));
        let gateway = TestGateway::configured(&origin, &tls);
        Self { origin, gateway, authority, directory }
    }

    async fn is_trusted_by(&self, authority: &Authority) -> bool {
        authority.connect(self.gateway.public, &["http/1.1"]).await.is_ok()
    }

    async fn comes_to_trust(&self, authority: &Authority) {
        let trusted = async { while !self.is_trusted_by(authority).await {} };
        tokio::time::timeout(std::time::Duration::from_secs(20), trusted).await.unwrap();
    }
}

#[tokio::test]
async fn a_list_is_read_in_http_2_and_in_http_1() {
    let secured = Secured::start().await;
    let (gateway, path) = (&secured.gateway, versions_of(FILE));
    let stream = secured.authority.connect(gateway.public, &["h2", "http/1.1"]).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let io = TokioIo::new(stream);
    let (mut send, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
    let driven = tokio::spawn(connection);
    for status in ["ikgate; fwd=uri-miss; fwd-status=200; stored", "ikgate; hit; ttl=60"] {
        let uri = format!("https://localhost{path}");
        let request = Request::get(uri).body(Empty::<Bytes>::new()).unwrap();
        let answer = send.send_request(request).await.unwrap();
        assert_eq!(
            (answer.status(), &answer.headers()["cache-status"]),
            (StatusCode::OK, &status.parse().unwrap())
        );
        assert!(!answer.headers().contains_key("connection"));
        assert_eq!(answer.headers()["content-length"], "5");
        assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "[1,2]");
    }
    drop(send);
    driven.await.unwrap().unwrap();
    for protocols in [&["http/1.1"][..], &[]] {
        let stream = secured.authority.connect(gateway.public, protocols).await.unwrap();
        let mut connection = Connection::over(stream);
        connection.write(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
        let answer = connection.read("GET").await.unwrap();
        assert_eq!((answer.status, answer.body.as_str()), (200, "[1,2]"));
    }
    assert_eq!(secured.origin.requests_for(&path), 1);
    secured.gateway.finish().await;
}

#[tokio::test]
async fn a_long_list_arrives_whole_in_either_http() {
    let secured = Secured::start().await;
    let body = format!("[\"{}\"]", "x".repeat(1_000_000));
    let path = versions_of("long");
    secured.origin.replies(&path, Reply::json(200, &body));
    let stream = secured.authority.connect(secured.gateway.public, &["h2"]).await.unwrap();
    let io = TokioIo::new(stream);
    let (mut send, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
    let driven = tokio::spawn(connection);
    let request = Request::get(format!("https://localhost{path}"));
    let answer = send.send_request(request.body(Empty::<Bytes>::new()).unwrap()).await.unwrap();
    assert_eq!(answer.headers()["content-length"], body.len().to_string());
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), body);
    drop(send);
    driven.await.unwrap().unwrap();
    let stream = secured.authority.connect(secured.gateway.public, &["http/1.1"]).await.unwrap();
    let mut connection = Connection::over(stream);
    connection.write(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
    assert_eq!(connection.read("GET").await.unwrap().body, body);
    drop(connection);
    secured.gateway.finish().await;
}

#[tokio::test]
async fn files_that_change_are_taken() {
    let secured = Secured::start().await;
    let directory = secured.directory.path();
    let next = Authority::new();
    let pair = next.pair("localhost", 2999);
    let expiry = secured.gateway.metric("ikgate_tls_expiry_seconds").await.unwrap();
    assert!(expiry > 900.0 * 365.0 * 86_400.0, "{expiry}");

    pair.write_certificate(directory);
    pair.write_key(directory);
    secured.gateway.clock.advance(std::time::Duration::from_secs(5));
    secured.comes_to_trust(&next).await;
    assert!(!secured.is_trusted_by(&secured.authority).await);
    secured.gateway.finish().await;
}

#[test]
fn half_of_a_new_pair_is_not_taken() {
    let (directory, authority) = (scratch(), Authority::new());
    let (old, new) = (authority.pair("localhost", 2998), authority.pair("localhost", 2999));
    old.write_certificate(directory.path());
    old.write_key(directory.path());
    let at = |name: &str| directory.path().join(name);
    let tls = Tls::load(TlsFiles { certificate: at("cert.pem"), key: at("key.pem") }).unwrap();
    let expires = tls.expires();
    new.write_certificate(directory.path());
    assert!(matches!(tls.refresh(), Err(TlsError::Unusable(_))));
    assert_eq!(tls.expires(), expires);
    new.write_key(directory.path());
    assert_eq!(tls.refresh().unwrap(), TlsChange::Changed);
    assert!(tls.expires() > expires);
    assert_eq!(tls.refresh().unwrap(), TlsChange::Unchanged);
    std::fs::remove_file(at("key.pem")).unwrap();
    assert!(matches!(tls.refresh(), Err(TlsError::Unreadable { .. })));
    assert!(tls.expires() > expires, "the last good pair stays");
}

#[tokio::test]
async fn a_reload_changes_tls_and_those_who_are_there_stay() {
    let mut secured = Secured::start().await;
    let stream = secured.authority.connect(secured.gateway.public, &["http/1.1"]).await.unwrap();
    let mut before = Connection::over(stream);
    let (next, elsewhere) = (Authority::new(), scratch());
    let pair = next.pair("localhost", 2020);
    pair.write_certificate(elsewhere.path());
    pair.write_key(elsewhere.path());
    assert_eq!(secured.gateway.reload(&section(elsewhere.path())), [""; 0]);
    let expiry = secured.gateway.metric("ikgate_tls_expiry_seconds").await.unwrap();
    // The test's clock stands in 2001.
    assert!(expiry > 19.0 * 365.0 * 86_400.0 && expiry < 20.0 * 366.0 * 86_400.0, "{expiry}");
    assert!(!secured.is_trusted_by(&secured.authority).await);
    assert_eq!(secured.gateway.reload(""), [""; 0]);
    assert_eq!(secured.gateway.metric("ikgate_tls_expiry_seconds").await, None);
    assert_eq!(secured.gateway.get(&versions_of(FILE)).await.status, 200, "plain again");
    before.write(format!("GET {} HTTP/1.1\r\nHost: a\r\n\r\n", versions_of(FILE))).await;
    assert_eq!(before.read("GET").await.unwrap().status, 200);
    drop(before);
    secured.gateway.finish().await;
}

#[tokio::test]
async fn what_is_no_handshake_is_refused_and_what_never_ends_is_timed_out() {
    let directory = scratch();
    let (_authority, tls) = secured(directory.path());
    let more = format!("{tls}[server]\nheader_timeout = \"50ms\"");
    let gateway = TestGateway::configured(&Origin::start().await, &more);
    let mut plain = Connection::open(gateway.public).await;
    plain.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(plain.is_closed_in_the_end().await);
    let mut silent = Connection::open(gateway.public).await;
    assert!(silent.is_closed().await);
    let refused = "ikgate_connections_refused_total{reason=\"handshake\"}";
    gateway.has_counted(refused, 1.0).await;
    let late = "ikgate_connection_deadlines_total{deadline=\"handshake\"}";
    gateway.has_counted(late, 1.0).await;
    gateway.finish().await;
}
