//! Tests of TLS on the public listener: certificates, ALPN and reload.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use ikgate::server::{Tls, TlsChange, TlsError, TlsFiles};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

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
        tokio::time::timeout(Duration::from_secs(20), trusted).await.unwrap();
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
    secured.gateway.clock.advance(Duration::from_secs(5));
    secured.comes_to_trust(&next).await;
    assert!(!secured.is_trusted_by(&secured.authority).await);
    secured.gateway.finish().await;
}

#[tokio::test]
async fn a_pair_that_does_not_match_is_a_problem_until_both_files_are_replaced() {
    let secured = Secured::start().await;
    let admin = secured.gateway.admin;
    let told = async |expected: &str| {
        let told = async {
            loop {
                let stats = crate::support::get(admin, "/api/stats").await.json();
                if stats["problems"][0]["code"] == expected {
                    return stats;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(20), told).await.expect(expected)
    };
    let pair = Authority::new().pair("localhost", 2999);
    pair.write_certificate(secured.directory.path());
    secured.gateway.clock.advance(Duration::from_secs(5));
    let stats = told("certificate_not_used").await;
    let error = stats["health"]["certificate_files"].as_str().unwrap();
    assert!(error.starts_with("the certificate and the key cannot be used together"), "{error}");
    assert!(stats["problems"][0]["cause"].as_str().unwrap().contains(error), "{stats}");
    pair.write_key(secured.directory.path());
    secured.gateway.clock.advance(Duration::from_secs(5));
    let gone = async {
        while crate::support::get(admin, "/api/stats").await.body.contains("certificate_not_used") {
        }
    };
    tokio::time::timeout(Duration::from_secs(20), gone).await.expect("the new pair is in use");
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
    assert!(tls.problem().is_none());
    assert!(matches!(*tls.refresh().unwrap_err(), TlsError::Unusable(_)));
    assert!(matches!(*tls.problem().unwrap(), TlsError::Unusable(_)));
    assert_eq!(tls.expires(), expires);
    new.write_key(directory.path());
    assert_eq!(tls.refresh().unwrap(), TlsChange::Changed);
    assert!(tls.problem().is_none());
    assert!(tls.expires() > expires);
    assert_eq!(tls.refresh().unwrap(), TlsChange::Unchanged);
    std::fs::remove_file(at("key.pem")).unwrap();
    assert!(matches!(*tls.refresh().unwrap_err(), TlsError::Unreadable { .. }));
    assert!(tls.expires() > expires, "the last good pair stays");
}

#[test]
fn a_chain_with_the_issuer_first_is_not_taken() {
    let (directory, authority) = (scratch(), Authority::new());
    let pair = authority.pair("localhost", 2999);
    pair.write_certificate(directory.path());
    pair.write_key(directory.path());
    let at = |name: &str| directory.path().join(name);
    let own = std::fs::read_to_string(at("cert.pem")).unwrap();
    let load = |chain: String| {
        std::fs::write(at("cert.pem"), chain).unwrap();
        Tls::load(TlsFiles { certificate: at("cert.pem"), key: at("key.pem") })
    };
    assert!(load(format!("{own}{}", authority.pem)).is_ok());
    let refused = load(format!("{}{own}", authority.pem)).err();
    assert!(matches!(refused, Some(TlsError::Unusable(_))), "{refused:?}");
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

#[test]
fn an_rsa_certificate_of_1024_bits_is_not_taken() {
    let directory = scratch();
    let at = |name: &str| directory.path().join(name);
    std::fs::write(at("cert.pem"), SHORT_RSA_CERTIFICATE).unwrap();
    std::fs::write(at("key.pem"), SHORT_RSA_KEY).unwrap();
    let refused = Tls::load(TlsFiles { certificate: at("cert.pem"), key: at("key.pem") }).err();
    assert!(matches!(refused, Some(TlsError::Unusable(_))), "{refused:?}");
}

/// Certificate made once by `openssl req -x509 -newkey rsa:1024`. It is in use nowhere.
const SHORT_RSA_CERTIFICATE: &str = "\
-----BEGIN CERTIFICATE-----
MIICHDCCAYWgAwIBAgIUEY4ahux634WFFRl0mMJGnqGICpkwDQYJKoZIhvcNAQEL
BQAwFDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyODEwNDU1MFoYDzIxMjYx
MTA0MTA0NTUwWjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwgZ8wDQYJKoZIhvcNAQEB
BQADgY0AMIGJAoGBANhAmHghm5M8rboAzyikTr8D8j1ysdnwqEJ/+7E7tECKLFOp
3Qeua+AqQpIoUlBm7eZmNWREhGuarNNf4M4kVqMJ3FfE1oFdAGBvbfXzFnJJZvfp
XjZqkrdz+sUeGRSB81DZaBEqAokIhhdVrru/cYYHgVbFMdRLdUQS3w+hLEhhAgMB
AAGjaTBnMB0GA1UdDgQWBBS2tUiXCzEEEBQt5AtfCKmHJaee9TAfBgNVHSMEGDAW
gBS2tUiXCzEEEBQt5AtfCKmHJaee9TAPBgNVHRMBAf8EBTADAQH/MBQGA1UdEQQN
MAuCCWxvY2FsaG9zdDANBgkqhkiG9w0BAQsFAAOBgQA6sXyJR1vhzZjb8hKaxCtK
yUHRVMnFkB5Y4c6ts6JdUDr4wpYUmubUpWeH51RW6wvO4L4xHZAq7AvPQTXmkOuK
xahJMO1yBBtNda8tkZgO3ypfOBvteU7CRPFxczlIrspj8HSPGGm8XSVxpI9zVNVB
Rza0KOPl2A6HBKMl+/qt+g==
-----END CERTIFICATE-----
";
const SHORT_RSA_KEY: &str = "\
-----BEGIN PRIVATE KEY-----
MIICdwIBADANBgkqhkiG9w0BAQEFAASCAmEwggJdAgEAAoGBANhAmHghm5M8rboA
zyikTr8D8j1ysdnwqEJ/+7E7tECKLFOp3Qeua+AqQpIoUlBm7eZmNWREhGuarNNf
4M4kVqMJ3FfE1oFdAGBvbfXzFnJJZvfpXjZqkrdz+sUeGRSB81DZaBEqAokIhhdV
rru/cYYHgVbFMdRLdUQS3w+hLEhhAgMBAAECgYArkpBmHDdxqldC1CjpgnnPaScl
FHgbdq8gfxMiuenu2yhlTyOXCaD40OsK8g7r3mFu/AckBd48pDTQflAYmR/PaTqD
k2n7d6g7An4qdljric5dYOAZPLyyecyAZZjqwickwV7MVB6vz8ZBH31zaOW3QQXN
XU0BV70ZkJCsVngXJQJBAOypdcWnwPKpE5YyanzFIAxSuEfIz+qt4ocm/VfAFiN9
tuvHaRN6Q76oGdoO4DX1rEQgauQeXSDGKjb8jEoRBIMCQQDp7DP77yp3kYtCZsca
0yzFBRC2AgB9kZnYM0tZhksPnbHNdFg8eLlT6Hr1ObYnJwz81uGfJ4mbvO/prvdJ
6lJLAkA4rEQFtyxfb9m+6AfUJSiNiumSVyZjHozWrKGSd+9VRG+fertQ7MB4Ua0P
KOzMPy6nidPPGO5YQNwvGr9FpVmdAkEA2uj8QRGx6VGgRFTQkY78f6hc2ieHc/uV
QJnIMxCVIBkQctglVvoXXanbn7ARghRueBNT89BZXBB1aHgf3eFWfwJBAMqLimD+
ha/ClGS5/MN/ahWL2AuEN65CzLdpGeaFw0KedGvmynrgGDMTzMf99KIWvC+DLJYe
ZmVr37MKdKaj2MM=
-----END PRIVATE KEY-----
";

/// RFC 9112 section 9.8: without the `close_notify` alert, an attacker may have cut the connection.
#[tokio::test]
async fn whichever_way_a_connection_of_http_1_is_closed_it_is_closed_in_order() {
    let path = versions_of(FILE);
    let get =
        |target: &str, field: &str| format!("GET {target} HTTP/1.1\r\nHost: a\r\n{field}\r\n");
    let (soon_idle, close) = ("idle_timeout = \"100ms\"", "Connection: close\r\n");
    for (name, server, request) in [
        ("the client wants it", "", get(&path, close)),
        ("the same, not from memory", "", get("/a", close)),
        ("framing", "", get(&path, "Transfer-Encoding: chunked\r\n")),
        ("malformed", "", "X\r\n\r\n".to_owned()),
        ("half a head", "header_timeout = \"100ms\"", "GET".to_owned()),
        ("unused", soon_idle, String::new()),
        ("idle", soon_idle, get(&path, "")),
        ("idle, with hyper", soon_idle, get("/a", "TE: trailers\r\n")),
    ] {
        let directory = scratch();
        let (authority, tls) = secured(directory.path());
        let origin = Origin::start().await;
        origin.replies(&path, Reply::json(200, "[1,2]"));
        let gateway = TestGateway::configured(&origin, &format!("[server]\n{server}\n{tls}"));
        let mut stream = authority.connect(gateway.public, &["http/1.1"]).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        let mut seen = Vec::new();
        let read = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut seen));
        let ended = read.await.unwrap_or_else(|_| panic!("{name}: still open"));
        assert!(ended.is_ok(), "{name}: {ended:?} after {}", String::from_utf8_lossy(&seen));
        drop(stream);
        gateway.finish().await;
    }
}

/// RFC 9113 section 8.2.2.
#[tokio::test]
async fn what_ends_a_connection_in_http_1_has_no_field_of_it_in_http_2() {
    let secured = Secured::start().await;
    let stream = secured.authority.connect(secured.gateway.public, &["h2"]).await.unwrap();
    let io = TokioIo::new(stream);
    let (mut send, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
    let driven = tokio::spawn(connection);
    let request = Request::get(format!("https://localhost{}", versions_of(FILE)));
    let request = request.header("host", "other").body(Empty::<Bytes>::new()).unwrap();
    let refused = send.send_request(request).await.unwrap();
    assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
    for name in ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"] {
        assert!(!refused.headers().contains_key(name), "{name}");
    }
    drop(send);
    driven.await.unwrap().unwrap();
    secured.gateway.finish().await;
}
