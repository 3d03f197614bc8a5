//! Tests of version requests: the gateway answers one version from a stored list.

use std::time::Duration;

use crate::support::{FILE, Origin, Reply, TestGateway, versions_of};

const SECOND: &str =
    "{ \"versionInfo\": {\"id\" : \"v2\",\"name\":\"Version 2\"}, \"size\":1.0e2 }";

fn list() -> String {
    format!("[ {SECOND} ,\n{{\"versionInfo\":{{\"id\":\"v1\"}}}}]")
}

fn version(id: &str) -> String {
    format!("{}/{id}", versions_of(FILE))
}

#[tokio::test]
async fn a_version_is_cut_from_the_list_byte_for_byte_and_one_call_serves_both() {
    let origin = Origin::start().await;
    origin.replies(&versions_of(FILE), Reply::json(200, &list()));
    let gateway = TestGateway::start(&origin);
    let miss = gateway.get(&version("v2")).await;
    assert_eq!((miss.status, miss.body.as_str()), (200, SECOND));
    assert_eq!(miss.field("cache-status"), "ikgate; fwd=uri-miss; fwd-status=200; stored");
    assert_eq!(miss.field("content-type"), "application/json; charset=utf-8");

    gateway.clock.advance(Duration::from_secs(7));
    let hit = gateway.get(&version("v1")).await;
    assert_eq!(hit.body, "{\"versionInfo\":{\"id\":\"v1\"}}");
    assert_eq!((hit.field("cache-status"), hit.field("age")), ("ikgate; hit; ttl=53", "7"));
    assert_ne!(hit.field("etag"), miss.field("etag"));
    assert_eq!(gateway.get(&versions_of(FILE)).await.body, list());
    assert_eq!(origin.requests().len(), 1);

    let known = gateway.send("GET", &version("v2"), &[("If-None-Match", miss.field("etag"))]).await;
    assert_eq!((known.status, known.body.as_str()), (304, ""));
    let head = gateway.send("HEAD", &version("v2"), &[("Accept-Encoding", "br")]).await;
    assert_eq!(head.field("content-length"), SECOND.len().to_string());
    assert_eq!(head.find("content-encoding"), None);
    let counted = "ikgate_requests_total{route=\"element\",caller=\"anonymous\",status=\"200\",cache=\"hit\"}";
    assert_eq!(gateway.metric(counted).await, Some(2.0));
    gateway.finish().await;
}

#[tokio::test]
async fn a_version_that_a_fresh_list_does_not_have_is_404_in_imagekits_shape() {
    let origin = Origin::start().await;
    origin.replies(&versions_of(FILE), Reply::json(200, &list()));
    let gateway = TestGateway::start(&origin);
    for status in ["ikgate; fwd=uri-miss; fwd-status=200; stored", "ikgate; hit; ttl=60"] {
        let absent = gateway.get(&version("v3")).await;
        assert_eq!((absent.status, absent.code().as_str()), (404, "not_found"));
        assert_eq!(absent.json()["message"], "The requested file version does not exist.");
        assert_eq!(absent.field("cache-status"), status);
        assert_eq!(absent.find("etag"), None);
    }
    assert_eq!(origin.requests().len(), 1);
    gateway.finish().await;
}

#[tokio::test]
async fn a_version_that_a_stale_list_does_not_have_is_looked_for_upstream_first() {
    let origin = Origin::start().await;
    origin.replies(&versions_of(FILE), Reply::json(200, &list()));
    let gateway = TestGateway::start(&origin);
    gateway.get(&version("v2")).await;
    gateway.clock.advance(Duration::from_mins(1));
    origin.hold(&versions_of(FILE));
    let stale = gateway.get(&version("v2")).await;
    assert_eq!((stale.body.as_str(), stale.field("cache-status")), (SECOND, "ikgate; hit; ttl=0"));
    origin.has_seen(&versions_of(FILE), 2).await;
    origin.release(&versions_of(FILE));
    gateway.is_settled(FILE).await;

    gateway.clock.advance(Duration::from_mins(2));
    origin.replies(&versions_of(FILE), Reply::json(200, "[{\"versionInfo\":{\"id\":\"v3\"}}]"));
    let new = gateway.get(&version("v3")).await;
    assert_eq!((new.status, new.body.as_str()), (200, "{\"versionInfo\":{\"id\":\"v3\"}}"));
    assert_eq!(new.field("cache-status"), "ikgate; fwd=stale; fwd-status=200; stored");
    assert_eq!(origin.requests().len(), 3);
    gateway.finish().await;
}

#[tokio::test]
async fn a_file_that_does_not_exist_has_no_versions_and_errors_pass_through() {
    let origin = Origin::start().await;
    let gateway = TestGateway::start(&origin);
    let answer = gateway.get(&version("v1")).await;
    assert_eq!(answer.status, 404);
    assert_eq!(answer.json()["message"], "The requested file does not exist.");
    let failing = versions_of("failing");
    origin.replies(&failing, Reply::json(500, ""));
    assert_eq!(gateway.get(&format!("{failing}/v1")).await.code(), "upstream_bad");
    for bad in ["v%31", "..", "a/"] {
        assert_eq!(gateway.get(&version(bad)).await.code(), "bad_request", "{bad}");
    }
    gateway.finish().await;
}
