//! Tests of routing: refused requests never reach the origin, and the errors have the form that
//! SDKs can parse.

use crate::support::{FILE, Origin, Reply, TestGateway, versions_of};

#[tokio::test]
async fn every_refused_target_is_answered_in_json_and_the_origin_is_never_asked() {
    let origin = Origin::start().await;
    let gateway = TestGateway::start(&origin);
    let long = versions_of(&"a".repeat(65));
    let table = [
        ("GET", "/v1/files/a%2Fb/versions", 400, "bad_request"),
        ("GET", "/v1/files/%2e%2e/versions", 400, "bad_request"),
        ("GET", "/v1/files/%61/versions", 400, "bad_request"),
        ("GET", "/v1/files/../versions", 400, "bad_request"),
        ("GET", "/v1/files/./versions", 400, "bad_request"),
        ("GET", "/v1/files/../../etc/versions", 400, "bad_request"),
        ("GET", "/v1/files//versions", 400, "bad_request"),
        ("GET", "/v1/files/a/versions/", 400, "bad_request"),
        ("GET", "/v1/files/a/versions?", 400, "bad_request"),
        ("GET", "/v1/files/a/versions?limit=1", 400, "bad_request"),
        ("GET", &long, 400, "bad_request"),
        ("GET", "/v1/files/a;b/versions", 400, "bad_request"),
        ("GET", "/v1/files/a/details", 404, "no_route"),
        ("GET", "/v1/files/a/b/versions", 404, "no_route"),
        ("GET", "/v1/files", 404, "no_route"),
        ("GET", "/help", 404, "no_route"),
        ("DELETE", "/v1/files/a", 404, "no_route"),
        ("POST", "/v1/files/a/versions", 405, "method_not_allowed"),
        ("PUT", "/v1/files/a/versions", 405, "method_not_allowed"),
        ("DELETE", "/v1/files/a/versions", 405, "method_not_allowed"),
        ("PATCH", "/v1/files/a/versions", 405, "method_not_allowed"),
        ("TRACE", "/v1/files/a/versions", 405, "method_not_allowed"),
        ("BREW", "/v1/files/a/versions", 405, "method_not_allowed"),
    ];
    for (method, target, status, code) in table {
        let answer = gateway.send(method, target, &[]).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{method} {target}");
        assert_eq!(answer.field("cache-status"), format!("ikgate; detail={code}"));
        assert_eq!(answer.field("cache-control"), "no-store");
        assert_eq!(answer.field("x-should-retry"), "false");
        assert_eq!(answer.field("x-content-type-options"), "nosniff");
        assert_eq!(answer.field("x-request-id").len(), 16);
        let allow = (status == 405).then_some("GET, HEAD, OPTIONS");
        assert_eq!(answer.find("allow"), allow, "{method} {target}");
    }
    assert_eq!(origin.requests(), Vec::<String>::new());
    gateway.finish().await;
}

#[tokio::test]
async fn what_the_server_as_a_whole_can_do_is_asked_with_an_asterisk() {
    let origin = Origin::start().await;
    let gateway = TestGateway::start(&origin);
    let answer = gateway.send("OPTIONS", "*", &[]).await;
    assert_eq!((answer.status, answer.field("allow")), (204, "GET, HEAD, OPTIONS"));
    // The absolute form without a path means the same as `*` (RFC 9112 section 3.2.4).
    assert_eq!(gateway.send("OPTIONS", "http://a", &[]).await.status, 204);
    for method in ["GET", "HEAD", "POST"] {
        let answer = gateway.send(method, "*", &[]).await;
        assert_eq!((answer.status, answer.field("connection")), (400, "close"), "{method}");
    }
    gateway.finish().await;
}

#[tokio::test]
async fn a_target_with_bytes_beyond_ascii_ends_the_connection() {
    let origin = Origin::start().await;
    let gateway = TestGateway::start(&origin);
    for target in ["/\u{e4}", "/v1/files/\u{e4}/versions", "/v1/files/a/versions?\u{e4}"] {
        for method in ["GET", "POST"] {
            let answer = gateway.send(method, target, &[]).await;
            assert_eq!((answer.status, answer.code().as_str()), (400, "bad_request"), "{target}");
            assert_eq!(answer.field("connection"), "close", "{method} {target}");
        }
    }
    assert_eq!(origin.requests(), Vec::<String>::new());
    gateway.finish().await;
}

#[tokio::test]
async fn a_preflight_needs_no_credential_spends_no_quota_and_grants_nothing() {
    let origin = Origin::start().await;
    let limits = "limits.anonymous = false";
    let gateway = TestGateway::configured(&origin, limits);
    let answer = gateway.send("OPTIONS", &versions_of(FILE), &[("Origin", "https://a.com")]).await;
    assert_eq!(answer.status, 204);
    assert_eq!(answer.field("vary"), "Origin, Accept-Encoding");
    assert_eq!(answer.find("access-control-allow-origin"), None);
    assert_eq!(answer.find("ratelimit"), None);
    gateway.finish().await;
}

#[tokio::test]
async fn operations_live_under_the_base_path_and_the_upstream_does_not_see_it() {
    let origin = Origin::start().await;
    origin.replies(&versions_of(FILE), Reply::json(200, "[]"));
    let gateway = TestGateway::configured(&origin, "server.base_path = \"/imagekit\"");
    let path = versions_of(FILE);
    assert_eq!(gateway.get(&format!("/imagekit{path}")).await.status, 200);
    assert_eq!(gateway.get(&path).await.code(), "no_route");
    assert_eq!(origin.requests_for(&path), 1);
    gateway.finish().await;
}
