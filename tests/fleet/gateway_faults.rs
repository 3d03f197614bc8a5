//! Fleet tests of gateway faults: gateways that are killed, paused or cut off, and the responses of
//! all gateways during and after the fault.

use crate::support::{Fleet, Mode, send};

/// Sends a request without waiting for the response.
fn ask(fleet: &Fleet, place: usize, file: &str) -> tokio::task::JoinHandle<Option<u64>> {
    let (address, target) = (fleet.gateways[place].public, format!("/v1/files/{file}/versions"));
    tokio::spawn(async move {
        let answer = send(address, "GET", &target, "", "").await.ok()?;
        Some(answer.version())
    })
}

#[tokio::test]
async fn a_gateway_that_is_killed_in_the_middle_of_a_fill_keeps_the_file_from_no_caller() {
    let mut fleet = Fleet::start(3).await;
    fleet.origin.hold("a");
    let asked = ask(&fleet, 0, "a");
    fleet.origin.is_asked("a", 1).await;
    fleet.gateways[0].kill();
    assert_eq!(asked.await.unwrap(), None);
    fleet.origin.release("a");
    for gateway in &fleet.gateways[1..] {
        assert_eq!(gateway.version("a").await, 1);
    }
    fleet.replace(0).await;
    assert_eq!(fleet.gateways[0].version("a").await, 1);
}

#[tokio::test]
async fn what_a_gateway_fetched_in_its_sleep_is_not_answered_after_a_purge() {
    let fleet = Fleet::start(3).await;
    fleet.origin.hold("a");
    let asked = ask(&fleet, 2, "a");
    fleet.origin.is_asked("a", 1).await;
    fleet.gateways[2].pause();
    let version = fleet.origin.raise("a");
    fleet.gateways[0].purges("/api/cache/a").await;
    // The old version is on its way to the paused gateway.
    fleet.origin.release("a");
    assert_eq!(fleet.gateways[0].version("a").await, version);
    fleet.gateways[2].resume();
    assert!(asked.await.unwrap().is_some_and(|answered| answered <= version));
    fleet.answers_with("a", version).await;
}

#[tokio::test]
async fn a_gateway_that_is_cut_off_answers_what_is_fresh_and_then_only_what_is_new() {
    let fleet = Fleet::configured(3, "cache.ttl = \"8s\"").await;
    for file in ["a", "b"] {
        assert_eq!(fleet.gateways[2].version(file).await, 1);
    }
    fleet.links[2].is(Mode::Silent);
    let version = fleet.origin.raise("a");
    fleet.gateways[0].purges("/api/cache/a").await;
    fleet.gateways[2].is_cut_off().await;
    let fresh = fleet.gateways[2].get("a").await;
    assert_eq!(fresh.version(), 1);
    assert!(fresh.field("cache-status").contains("hit"), "{fresh:#?}");
    // No response is stale: after the TTL, a request waits for the upstream.
    fleet.gateways[2].answers_with("a", version).await;

    // A purge that the others cannot be told yet is not lost.
    fleet.origin.raise("b");
    fleet.gateways[2].purges_alone("/api/cache/b").await;
    assert_eq!(fleet.gateways[2].version("b").await, 2);
    fleet.links[2].is(Mode::Open);
    fleet.gateways[2].is_connected().await;
    fleet.answers_with("b", 2).await;
    fleet.gateways[2].shows("ikgate_cluster_pending_purges", 0.0).await;
}

#[tokio::test]
async fn a_gateway_that_is_cut_off_answers_what_is_stale_only_where_the_upstream_fails() {
    let fleet = Fleet::configured(2, "cache.ttl = \"1s\"").await;
    assert_eq!(fleet.gateways[1].version("a").await, 1);
    fleet.links[1].is(Mode::Closed);
    fleet.gateways[1].is_cut_off().await;
    fleet.origin.fails(true);
    let stale = fleet.gateways[1].get("a").await;
    assert_eq!(stale.version(), 1);
    assert_eq!(stale.field("cache-status"), "ikgate; fwd=stale; detail=stale-if-error");
    fleet.origin.fails(false);
    let version = fleet.origin.raise("a");
    assert_eq!(fleet.gateways[1].version("a").await, version);
}

#[tokio::test]
async fn a_gateway_that_was_away_replays_what_it_missed_and_forgets_nothing_else() {
    let fleet = Fleet::start(3).await;
    for file in ["a", "b"] {
        fleet.warm(file).await;
    }
    fleet.links[2].is(Mode::Closed);
    fleet.gateways[2].is_cut_off().await;
    let version = fleet.origin.raise("a");
    fleet.gateways[0].purges("/api/cache/a").await;
    fleet.links[2].is(Mode::Open);
    fleet.gateways[2].answers_with("a", version).await;
    assert!(fleet.gateways[2].get("b").await.field("cache-status").contains("hit"));
    fleet.gateways[2].shows("ikgate_cluster_resets_total", 0.0).await;
}

#[tokio::test]
async fn a_gateway_that_ends_in_order_does_not_count_any_more() {
    let mut fleet = Fleet::start(3).await;
    fleet.gateways[2].ends().await;
    for gateway in &fleet.gateways[..2] {
        gateway.shows("ikgate_cluster_nodes", 2.0).await;
    }
    fleet.gateways[1].kill();
    // A killed gateway sends no farewell: the others notice that they no longer hear it.
    fleet.gateways[0].shows("ikgate_cluster_nodes", 1.0).await;
}
