//! Tests of purges: after a purge, no request is answered from a fetch that began before it.

use std::time::Duration;

use crate::support::{FILE, Origin, Reply, TestGateway, versions_of};

#[tokio::test]
async fn a_purged_file_is_fetched_again() {
    for purge in [format!("/api/cache/{FILE}"), "/api/cache".to_owned()] {
        let origin = Origin::start().await;
        let path = versions_of(FILE);
        origin.replies(&path, Reply::json(200, "[1]"));
        let gateway = TestGateway::start(&origin);
        gateway.get(&path).await;
        origin.replies(&path, Reply::json(200, "[2]"));
        assert_eq!(gateway.get(&path).await.body, "[1]");
        gateway.purge(&purge).await;
        let after = gateway.get(&path).await;
        assert_eq!(after.body, "[2]");
        assert_eq!(after.field("cache-status"), "ikgate; fwd=uri-miss; fwd-status=200; stored");
        gateway.finish().await;
    }
}

/// Race of a fill and a purge: the fill is sent before the purge, and its outdated response arrives
/// after it.
#[tokio::test]
async fn a_fill_sent_before_a_purge_is_neither_stored_nor_joined_after_it() {
    for purge in [format!("/api/cache/{FILE}"), "/api/cache".to_owned()] {
        let origin = Origin::start().await;
        let path = versions_of(FILE);
        origin.replies(&path, Reply::json(200, "[\"old\"]"));
        origin.hold(&path);
        let gateway = TestGateway::start(&origin);
        let mut before = gateway.ask(FILE).await;
        origin.has_seen(&path, 1).await;

        gateway.purge(&purge).await;
        origin.replies(&path, Reply::json(200, "[\"new\"]"));
        let mut after = gateway.ask(FILE).await;
        origin.has_seen(&path, 2).await;
        origin.release(&path);

        let before = before.read("GET").await.unwrap();
        assert_eq!(before.body, "[\"old\"]", "who waited already may get it");
        assert_eq!(before.field("cache-status"), "ikgate; fwd=uri-miss; fwd-status=200");
        assert_eq!(after.read("GET").await.unwrap().body, "[\"new\"]", "{purge}");
        assert_eq!(gateway.get(&path).await.body, "[\"new\"]", "{purge}");
        assert_eq!(origin.requests_for(&path), 2);
        gateway.finish().await;
    }
}

/// The same race without a request in between, so that the old fill is the only one.
#[tokio::test]
async fn an_old_fill_that_comes_back_alone_leaves_nothing_behind() {
    for purge in [format!("/api/cache/{FILE}"), "/api/cache".to_owned()] {
        let origin = Origin::start().await;
        let path = versions_of(FILE);
        origin.replies(&path, Reply::json(200, "[\"old\"]"));
        origin.hold(&path);
        let gateway = TestGateway::start(&origin);
        let mut before = gateway.ask(FILE).await;
        origin.has_seen(&path, 1).await;
        gateway.purge(&purge).await;
        origin.replies(&path, Reply::json(200, "[\"new\"]"));
        origin.release(&path);
        assert_eq!(before.read("GET").await.unwrap().body, "[\"old\"]");
        assert_eq!(gateway.get(&path).await.body, "[\"new\"]", "{purge}");
        gateway.finish().await;
    }
}

#[tokio::test]
async fn a_soft_purge_is_the_end_of_the_ttl() {
    for purge in [format!("/api/cache/{FILE}?soft=true"), "/api/cache?soft=true".to_owned()] {
        let origin = Origin::start().await;
        let path = versions_of(FILE);
        origin.replies(&path, Reply::json(200, "[1]"));
        let gateway = TestGateway::start(&origin);
        gateway.get(&path).await;
        origin.replies(&path, Reply::json(200, "[2]"));
        gateway.clock.advance(Duration::from_secs(7));
        gateway.purge(&purge).await;
        gateway.clock.advance(Duration::from_secs(3));
        let after = gateway.get(&path).await;
        assert_eq!(after.body, "[1]", "as when the ttl runs out: stale while it is refreshed");
        assert_eq!(after.field("cache-status"), "ikgate; hit; ttl=-3");
        origin.has_seen(&path, 2).await;
        gateway.is_settled(FILE).await;
        let refreshed = gateway.get(&path).await;
        assert_eq!(refreshed.body, "[2]");
        assert_eq!(refreshed.field("cache-status"), "ikgate; hit; ttl=60");
        gateway.finish().await;
    }
}

#[tokio::test]
async fn what_a_fill_brings_from_before_a_soft_purge_is_not_fresh() {
    for purge in [format!("/api/cache/{FILE}?soft=true"), "/api/cache?soft=true".to_owned()] {
        let origin = Origin::start().await;
        let path = versions_of(FILE);
        origin.replies(&path, Reply::json(200, "[\"old\"]"));
        origin.hold(&path);
        let gateway = TestGateway::configured(&origin, "cache.stale_while_revalidate = \"0s\"");
        let mut before = gateway.ask(FILE).await;
        origin.has_seen(&path, 1).await;
        gateway.purge(&purge).await;
        origin.replies(&path, Reply::json(200, "[\"new\"]"));
        gateway.clock.advance(Duration::from_secs(1));
        origin.release(&path);
        assert_eq!(before.read("GET").await.unwrap().body, "[\"old\"]");
        assert_eq!(gateway.get(&path).await.body, "[\"new\"]", "{purge}");
        gateway.finish().await;
    }
}

#[tokio::test]
async fn a_purge_of_one_file_leaves_the_others() {
    let origin = Origin::start().await;
    let gateway = TestGateway::start(&origin);
    for file in ["a", "b"] {
        origin.replies(&versions_of(file), Reply::json(200, "[]"));
        gateway.get(&versions_of(file)).await;
    }
    gateway.purge("/api/cache/a").await;
    assert!(gateway.get(&versions_of("b")).await.field("cache-status").contains("hit"));
    assert!(gateway.get(&versions_of("a")).await.field("cache-status").contains("miss"));
    gateway.finish().await;
}
