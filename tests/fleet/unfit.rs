//! Fleet tests of unsuitable Redis servers: each gateway logs the reason once and works on its own.

use crate::support::{Fleet, Gateway, PORT, Plan, send};

const APART: &str = "the fleet's Redis cannot be used";

async fn apart(gateways: usize, arguments: &[&str]) -> Fleet {
    Fleet::apart(Plan { gateways, arguments, ..Plan::default() }).await
}

/// Checks that a gateway works on its own and logs these reasons.
async fn is_by_itself(fleet: &Fleet, says: &[&str]) {
    let gateway = &fleet.gateways[0];
    gateway.logs(APART).await;
    assert_eq!(gateway.version("a").await, 1);
    assert!(gateway.get("a").await.field("cache-status").contains("hit"));
    gateway.is_cut_off().await;
    let ready = send(gateway.admin, "GET", "/readyz", "", "").await.unwrap();
    assert_eq!(ready.status, 200, "{ready:#?}");
    let version = fleet.origin.raise("a");
    gateway.purges_alone("/api/cache/a").await;
    assert_eq!(gateway.version("a").await, version);
    says_once(gateway, says);
    let stats = send(gateway.admin, "GET", "/api/stats", "", "").await.unwrap();
    for says in says.iter().filter(|says| **says != APART) {
        assert!(stats.body.contains(says), "{says}: {stats:#?}");
    }
    assert!(!stats.body.contains("canary"), "{stats:#?}");
}

fn says_once(gateway: &Gateway, says: &[&str]) {
    let log = gateway.log();
    let mut told = log.lines().filter(|line| line.contains("\"ERROR\""));
    let line = told.next().unwrap();
    assert_eq!(told.next(), None, "{log}");
    for says in says {
        assert!(line.contains(says), "{says}: {line}");
    }
    assert!(!line.contains("canary"), "{line}");
}

#[tokio::test]
async fn a_password_that_is_wrong_is_said_and_the_gateway_answers() {
    let arguments = &["--requirepass", "right"];
    for (credentials, says) in [("", "NOAUTH"), (":canary@", "Password authentication failed")] {
        let plan = Plan { gateways: 1, arguments, credentials, ..Plan::default() };
        is_by_itself(&Fleet::apart(plan).await, &[APART, says]).await;
    }
}

#[tokio::test]
async fn a_replica_is_refused() {
    let fleet = apart(1, &["--replicaof", "127.0.0.1", "1"]).await;
    is_by_itself(&fleet, &["it is a replica; name the primary"]).await;
}

#[tokio::test]
async fn a_redis_that_may_evict_is_refused() {
    let limit = ["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"];
    let fleet = apart(1, &limit).await;
    is_by_itself(&fleet, &["allkeys-lru", "set maxmemory-policy noeviction"]).await;
}

#[tokio::test]
async fn one_that_is_put_right_is_used() {
    let limit = ["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"];
    let fleet = apart(2, &limit).await;
    for gateway in &fleet.gateways {
        gateway.is_cut_off().await;
    }
    fleet.redis.ask::<()>("CONFIG SET maxmemory-policy noeviction");
    for gateway in &fleet.gateways {
        gateway.is_connected().await;
    }
    fleet.warm("a").await;
    let version = fleet.origin.raise("a");
    fleet.gateways[0].purges("/api/cache/a").await;
    fleet.answers_with("a", version).await;
}

#[tokio::test]
async fn a_redis_cluster_is_refused() {
    // The cluster bus of Redis needs a port even if no client port is open.
    let arguments = ["--cluster-enabled", "yes", "--cluster-port", PORT];
    let fleet = apart(1, &arguments).await;
    is_by_itself(&fleet, &["it is a Redis Cluster", "use one primary"]).await;
}
