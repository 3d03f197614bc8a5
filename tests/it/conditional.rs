//! Tests of responses without a body: conditional requests (304) and HEAD.

use crate::support::{FILE, Origin, Reply, TestGateway, versions_of};

#[tokio::test]
async fn a_caller_that_has_the_bytes_gets_304_with_every_field_but_a_body() {
    let origin = Origin::start().await;
    let path = versions_of(FILE);
    origin.replies(&path, Reply::json(200, "[]"));
    let gateway = TestGateway::start(&origin);
    // printf '[]' | sha256sum, the first half, base64url
    let tag = "\"T1PNoYwrqgwDVLtfmj7L5Q\"";
    assert_eq!(gateway.get(&path).await.field("etag"), tag);
    for value in [tag.to_owned(), format!("W/{tag}"), format!("\"x\", {tag}"), "*".to_owned()] {
        let answer = gateway.send("GET", &path, &[("If-None-Match", &value)]).await;
        assert_eq!((answer.status, answer.body.as_str()), (304, ""), "{value}");
        assert_eq!(answer.field("etag"), tag);
        assert_eq!(answer.field("vary"), "Origin, Accept-Encoding");
        assert_eq!(answer.field("cache-control"), "private, no-cache");
        assert_eq!(answer.field("cache-status"), "ikgate; hit; ttl=60");
        assert!(answer.field("ratelimit").starts_with("\"anonymous\";r="));
        assert_eq!(answer.find("content-length"), None);
    }
    let changed = gateway.send("GET", &path, &[("If-None-Match", "\"x\"")]).await;
    assert_eq!(changed.status, 200);
    gateway.finish().await;
}

/// RFC 9111 section 4.
#[tokio::test]
async fn a_304_says_how_old_the_list_is() {
    let origin = Origin::start().await;
    let path = versions_of(FILE);
    origin.replies(&path, Reply::json(200, "[]"));
    let gateway = TestGateway::start(&origin);
    gateway.get(&path).await;
    gateway.clock.advance(std::time::Duration::from_secs(7));
    let answer = gateway.send("GET", &path, &[("If-None-Match", "*")]).await;
    assert_eq!((answer.status, answer.field("age")), (304, "7"));
    gateway.finish().await;
}

#[tokio::test]
async fn a_404_is_never_not_modified() {
    let origin = Origin::start().await;
    let gateway = TestGateway::start(&origin);
    let answer = gateway.send("GET", &versions_of(FILE), &[("If-None-Match", "*")]).await;
    assert_eq!(answer.status, 404);
    gateway.finish().await;
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let origin = Origin::start().await;
    let path = versions_of(FILE);
    origin.replies(&path, Reply::json(200, "[1,2,3]"));
    let gateway = TestGateway::start(&origin);
    let get = gateway.get(&path).await;
    let head = gateway.send("HEAD", &path, &[]).await;
    assert_eq!(head.status, 200);
    assert_eq!(head.field("content-length"), "7");
    for name in ["etag", "content-type", "cache-control", "vary"] {
        assert_eq!(head.field(name), get.field(name));
    }
    let refused = gateway.send("HEAD", "/nothing", &[]).await;
    assert_eq!(refused.status, 404);
    gateway.finish().await;
}
