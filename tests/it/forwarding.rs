//! Tests of forwarding: the fields and bytes that pass to and from the upstream, and those that do
//! not.

use crate::support::{FILE, Origin, Reply, TestGateway, versions_of};

#[tokio::test]
async fn the_upstream_gets_our_key_and_nothing_of_the_caller() {
    let origin = Origin::start().await;
    let path = versions_of(FILE);
    origin.replies(&path, Reply::json(200, "[]"));
    let gateway = TestGateway::start(&origin);
    let sent = [
        ("Cookie", "session=canary"),
        ("X-Forwarded-For", "192.0.2.1"),
        ("Forwarded", "for=192.0.2.1"),
        ("X-Real-IP", "192.0.2.1"),
        ("User-Agent", "canary/1"),
        ("Accept-Encoding", "br, gzip"),
        ("If-None-Match", "\"canary\""),
        ("Via", "1.1 canary"),
        ("X-Anything", "canary"),
        ("Accept-Language", "de"),
    ];
    assert_eq!(gateway.send("GET", &path, &sent).await.status, 200);
    let requests = origin.requests();
    let [request] = requests.as_slice() else { panic!("{requests:#?}") };
    let mut lines: Vec<_> = request.trim_end().lines().map(str::to_lowercase).collect();
    lines.sort_unstable();
    // printf 'private_canary=:' | base64
    let authorization = "authorization: basic chjpdmf0zv9jyw5hcnk9og==";
    let expected = [
        "accept-encoding: gzip".to_owned(),
        "accept: application/json".to_owned(),
        authorization.to_owned(),
        format!("get {path} http/1.1").to_lowercase(),
        format!("host: {}", origin.address),
        format!("user-agent: ikgate/{}", env!("CARGO_PKG_VERSION")),
        "via: 1.1 ikgate".to_owned(),
    ];
    assert_eq!(lines, expected);
    gateway.finish().await;
}

#[tokio::test]
async fn head_asks_the_upstream_for_the_whole() {
    let origin = Origin::start().await;
    let path = versions_of(FILE);
    origin.replies(&path, Reply::json(200, "[]"));
    let gateway = TestGateway::start(&origin);
    gateway.send("HEAD", &path, &[]).await;
    assert_eq!(gateway.get(&path).await.body, "[]");
    assert_eq!(origin.requests_for(&path), 1);
    gateway.finish().await;
}

#[tokio::test]
async fn no_field_of_the_upstream_reaches_a_caller() {
    let origin = Origin::start().await;
    let path = versions_of(FILE);
    let fields = "Content-Type: text/html\r\nX-Ik-RequestId: canary\r\nSet-Cookie: canary\r\n\
                  ETag: W/\"canary\"\r\nAccess-Control-Allow-Origin: *\r\nServer: canary\r\n\
                  X-RateLimit-Limit: 7\r\nCache-Control: max-age=7\r\n";
    origin.replies(&path, Reply::with_fields(200, fields, "[]"));
    let gateway = TestGateway::start(&origin);
    let answer = gateway.get(&path).await;
    assert_eq!(answer.field("content-type"), "application/json; charset=utf-8");
    for name in ["set-cookie", "access-control-allow-origin", "server", "x-ratelimit-limit"] {
        assert_eq!(answer.find(name), None);
    }
    assert!(!format!("{answer:?}").contains("canary"), "{answer:#?}");
    gateway.finish().await;
}
