//! Tests of CORS: the origins that may read a response, and the fields that they may read.

use crate::support::{FILE, Origin, Reply, TestGateway, versions_of};

const CORS: &str =
    "cors.allowed_origins = [\"https://app.example.com\", \"https://*.example.org\"]";
const APP: &str = "https://app.example.com";

#[tokio::test]
async fn a_listed_page_may_read_every_answer_and_no_other_page_any() {
    let origin = Origin::start().await;
    let path = versions_of(FILE);
    origin.replies(&path, Reply::json(200, "[]"));
    let gateway = TestGateway::configured(
        &origin,
        &format!("{CORS}\n[limits]\nanonymous = {{ per_second = 1, burst = 5 }}"),
    );
    let tag = gateway.get(&path).await.field("etag").to_owned();
    let table = [
        (path.clone(), vec![], 200),
        (path.clone(), vec![("If-None-Match", tag.as_str())], 304),
        (path.clone(), vec![("Authorization", "Bearer wrong")], 401),
        ("/v1/files/none/versions".to_owned(), vec![], 404),
        ("/nothing".to_owned(), vec![], 404),
        (format!("{path}?a"), vec![], 400),
        (path.clone(), vec![], 200),
        (path.clone(), vec![], 429),
    ];
    for (target, fields, status) in table {
        let fields = [vec![("Origin", APP)], fields].concat();
        let answer = gateway.send("GET", &target, &fields).await;
        assert_eq!(answer.status, status, "{target}");
        assert_eq!(answer.field("access-control-allow-origin"), APP, "{target}");
        assert_eq!(answer.field("timing-allow-origin"), APP);
        assert_eq!(answer.field("cross-origin-resource-policy"), "cross-origin");
        let exposed = "ETag, Age, Cache-Status, RateLimit, RateLimit-Policy, Retry-After, \
                       Retry-After-Ms, X-Should-Retry, X-Request-Id";
        assert_eq!(answer.field("access-control-expose-headers"), exposed);
        assert_eq!(answer.find("access-control-allow-credentials"), None);
        assert_eq!(answer.field("vary"), "Origin, Accept-Encoding");
    }
    for other in ["null", "https://app.example.com.evil.example", "https://a.b.example.org"] {
        let answer = gateway.send("GET", &path, &[("Origin", other)]).await;
        assert_eq!(answer.find("access-control-allow-origin"), None, "{other}");
        assert_eq!(answer.find("access-control-expose-headers"), None, "{other}");
        assert_eq!(answer.find("cross-origin-resource-policy"), None, "{other}");
        assert_eq!(answer.find("timing-allow-origin"), None, "{other}");
        assert_eq!(answer.field("vary"), "Origin, Accept-Encoding");
    }
    gateway.finish().await;
}

#[tokio::test]
async fn a_stored_answer_is_read_by_each_page_under_its_own_name() {
    let origin = Origin::start().await;
    let path = versions_of(FILE);
    origin.replies(&path, Reply::json(200, "[]"));
    let gateway = TestGateway::configured(&origin, CORS);
    for page in [APP, "https://a.example.org", "https://b.example.org"] {
        let answer = gateway.send("GET", &path, &[("Origin", page)]).await;
        assert_eq!(answer.field("access-control-allow-origin"), page);
    }
    assert_eq!(gateway.get(&path).await.find("access-control-allow-origin"), None);
    assert_eq!(origin.requests_for(&path), 1);
    gateway.finish().await;
}

#[tokio::test]
async fn a_preflight_is_204_and_grants_only_to_listed_pages() {
    let origin = Origin::start().await;
    let gateway = TestGateway::configured(&origin, &format!("{CORS}\ncors.max_age = \"5m\""));
    for target in [versions_of(FILE), format!("{}/v1", versions_of(FILE))] {
        let asks = [
            ("Origin", APP),
            ("Access-Control-Request-Method", "GET"),
            ("Access-Control-Request-Headers", "authorization, x-stainless-lang"),
        ];
        let granted = gateway.send("OPTIONS", &target, &asks).await;
        assert_eq!(granted.status, 204);
        assert_eq!(granted.field("access-control-allow-origin"), APP);
        assert_eq!(granted.field("access-control-allow-methods"), "GET, HEAD");
        assert_eq!(granted.field("access-control-allow-headers"), "Authorization, *");
        assert_eq!(granted.field("access-control-max-age"), "300");
        let refused = gateway.send("OPTIONS", &target, &[("Origin", "https://evil.example")]).await;
        assert_eq!(refused.status, 204);
        assert_eq!(refused.find("access-control-allow-origin"), None);
        assert_eq!(refused.find("access-control-allow-methods"), None);
    }
    gateway.finish().await;
}

/// Without `[cors]` a page of another origin fails too, and its preflight is what fails first.
#[tokio::test]
async fn every_request_of_a_page_that_is_not_listed_is_counted_and_no_other() {
    let origin = Origin::start().await;
    let path = versions_of(FILE);
    origin.replies(&path, Reply::json(200, "[]"));
    for (config, page) in [("", APP), (CORS, "https://evil.example"), (CORS, "null")] {
        let gateway = TestGateway::configured(&origin, config);
        let own = format!("http://{}", gateway.public);
        for (method, target, fields, refused) in [
            ("GET", path.as_str(), vec![], 0.0),
            ("OPTIONS", &path, vec![], 0.0),
            ("GET", &path, vec![("Origin", own.as_str())], 0.0),
            ("GET", &path, vec![("Origin", page)], 1.0),
            ("HEAD", &path, vec![("Origin", page)], 2.0),
            ("OPTIONS", &path, vec![("Origin", page)], 3.0),
            ("GET", "/nothing", vec![("Origin", page)], 4.0),
            ("GET", &path, vec![("Origin", page), ("Content-Length", "0")], 5.0),
            ("GET", &path, vec![("Origin", page), ("Origin", &own)], 6.0),
        ] {
            gateway.send(method, target, &fields).await;
            let counted = gateway.metric("ikgate_cors_refused_total").await;
            assert_eq!(counted, Some(refused), "{config} {method} {target} {fields:?}");
        }
        gateway.finish().await;
    }
}

#[tokio::test]
async fn a_page_under_development_may_come_from_any_port_of_this_machine() {
    let origin = Origin::start().await;
    let path = versions_of(FILE);
    origin.replies(&path, Reply::json(200, "[]"));
    let both = "cors.allowed_origins = [\"http://localhost:*\", \"http://127.0.0.1:*\"]";
    let gateway = TestGateway::configured(&origin, both);
    for page in ["http://localhost", "http://localhost:3000", "http://127.0.0.1:5173"] {
        let answer = gateway.send("GET", &path, &[("Origin", page)]).await;
        assert_eq!(answer.field("access-control-allow-origin"), page);
    }
    for page in ["https://localhost:3000", "http://127.0.0.2:3000", "http://[::1]:3000"] {
        let answer = gateway.send("GET", &path, &[("Origin", page)]).await;
        assert_eq!(answer.find("access-control-allow-origin"), None, "{page}");
    }
    gateway.finish().await;
}

/// Fetch standard, HTTP responses: a page of an allowed origin can read every error.
#[tokio::test]
async fn a_listed_page_may_read_what_the_upstream_made_of_it_and_what_it_may_not_have() {
    let origin = Origin::start().await;
    let digest = ikgate::caller::KeyDigest::of("key");
    let more = format!(
        "{CORS}\n[upstream]\nrequest_timeout = \"1s\"\n[[callers]]\nname = \"team\"\n\
         key_sha256 = \"{digest}\"\nfiles = [\"a\"]"
    );
    let gateway = TestGateway::configured(&origin, &more);
    let path = versions_of(FILE);
    let key = ("Authorization", "Bearer key");
    let too_long = ("Content-Length", "65537");
    for (method, fields, reply, status) in [
        ("GET", Some(key), Reply::Silence, 403),
        ("POST", None, Reply::Silence, 405),
        ("GET", Some(too_long), Reply::Silence, 413),
        ("GET", None, Reply::json(500, "{}"), 502),
        ("GET", None, Reply::json(401, "{}"), 502),
        ("GET", None, Reply::Silence, 504),
        ("GET", None, Reply::json(429, "{}"), 503),
    ] {
        origin.replies(&path, reply);
        let fields: Vec<_> = [Some(("Origin", APP)), fields].into_iter().flatten().collect();
        let answer = gateway.send(method, &path, &fields).await;
        assert_eq!(answer.status, status, "{answer:#?}");
        assert_eq!(answer.field("access-control-allow-origin"), APP, "{status}");
        assert_eq!(answer.field("cross-origin-resource-policy"), "cross-origin", "{status}");
        assert!(answer.field("access-control-expose-headers").contains("Retry-After"), "{status}");
    }
    gateway.finish().await;
}
