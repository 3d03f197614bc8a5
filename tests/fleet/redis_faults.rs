//! Fleet tests of Redis faults: lost data, pauses, slow answers, full memory and broken links.

use std::time::Duration;

use crate::second_level::share;
use crate::support::{Fleet, Mode};

#[tokio::test]
async fn a_redis_that_was_killed_and_is_back_empty_has_every_gateway_forget_what_it_stored() {
    let fleet = Fleet::start(3).await;
    fleet.warm("a").await;
    fleet.links[2].is(Mode::Silent);
    let version = fleet.origin.raise("a");
    fleet.gateways[0].purges("/api/cache/a").await;
    // The record of the purge, which one gateway has not seen, is lost with it.
    fleet.redis.kill();
    fleet.links[2].is(Mode::Open);
    fleet.redis.restart().await;
    fleet.answers_with("a", version).await;
    for gateway in &fleet.gateways {
        gateway.is_connected().await;
        gateway.shows("ikgate_cluster_resets_total", 1.0).await;
    }
}

#[tokio::test]
async fn a_redis_that_is_back_with_what_it_had_before_a_purge_is_believed_by_no_gateway() {
    let fleet = Fleet::start(3).await;
    share(&fleet.gateways[1], &fleet.redis, "a").await;
    fleet.warm("a").await;
    fleet.redis.ask::<()>("SAVE");
    let version = fleet.origin.raise("a");
    fleet.gateways[0].purges("/api/cache/a").await;
    fleet.redis.restart().await;
    assert_eq!(fleet.redis.ask::<u8>("EXISTS ikgate:list:a"), 1);
    for gateway in &fleet.gateways {
        gateway.shows("ikgate_cluster_resets_total", 1.0).await;
        gateway.is_connected().await;
        assert_eq!(gateway.version("a").await, version);
    }
}

#[tokio::test]
async fn a_redis_that_forgets_everything_while_it_runs_does_no_harm() {
    let fleet = Fleet::start(3).await;
    fleet.warm("a").await;
    fleet.links[2].is(Mode::Silent);
    let version = fleet.origin.raise("a");
    fleet.gateways[0].purges("/api/cache/a").await;
    fleet.redis.ask::<()>("FLUSHALL");
    fleet.links[2].is(Mode::Open);
    fleet.answers_with("a", version).await;
    let version = fleet.origin.raise("a");
    fleet.gateways[1].is_connected().await;
    fleet.gateways[1].purges("/api/cache/a").await;
    fleet.answers_with("a", version).await;
}

#[tokio::test]
async fn what_is_purged_while_redis_is_paused_is_told_when_it_goes_on() {
    let fleet = Fleet::start(3).await;
    fleet.warm("a").await;
    fleet.redis.pause();
    let version = fleet.origin.raise("a");
    fleet.gateways[0].purges_alone("/api/cache/a").await;
    assert_eq!(fleet.gateways[0].version("a").await, version);
    assert_eq!(fleet.gateways[1].version("a").await, 1);
    fleet.gateways[0].shows("ikgate_cluster_pending_purges", 1.0).await;
    fleet.redis.resume();
    fleet.answers_with("a", version).await;
    for gateway in &fleet.gateways {
        gateway.shows("ikgate_cluster_pending_purges", 0.0).await;
        gateway.shows("ikgate_cluster_resets_total", 0.0).await;
    }
}

#[tokio::test]
async fn the_command_line_says_that_the_others_do_not_know_yet() {
    let fleet = Fleet::start(2).await;
    fleet.links[0].is(Mode::Closed);
    let admin = format!("http://{}", fleet.gateways[0].admin);
    let mut purge = std::process::Command::new(env!("CARGO_BIN_EXE_ikgate"));
    purge.args(["purge", "a", "--admin", &admin]);
    let purged = tokio::task::spawn_blocking(move || purge.output().unwrap()).await.unwrap();
    assert_eq!(purged.status.code(), Some(1));
    let told = String::from_utf8_lossy(&purged.stderr).into_owned();
    assert!(told.contains("the others could not be told yet"), "{told}");
}

#[tokio::test]
async fn a_slow_redis_is_one_all_the_same() {
    let fleet = Fleet::start(3).await;
    fleet.warm("a").await;
    for link in &fleet.links {
        link.is(Mode::Slow(Duration::from_millis(200)));
    }
    let version = fleet.origin.raise("a");
    fleet.gateways[0].purges("/api/cache/a").await;
    assert_eq!(fleet.gateways[0].version("a").await, version);
    fleet.answers_with("a", version).await;
    for gateway in &fleet.gateways {
        gateway.is_connected().await;
        gateway.shows("ikgate_cluster_resets_total", 0.0).await;
    }
}

#[tokio::test]
async fn a_full_redis_takes_purges() {
    let fleet = Fleet::start(3).await;
    fleet.warm("a").await;
    fleet.redis.ask::<()>("CONFIG SET maxmemory 1");
    for path in ["/api/cache/a", "/api/cache"] {
        let version = fleet.origin.raise("a");
        fleet.gateways[0].purges(path).await;
        assert_eq!(fleet.gateways[0].version("a").await, version);
        fleet.answers_with("a", version).await;
    }
    for gateway in &fleet.gateways {
        gateway.shows("ikgate_cluster_resets_total", 0.0).await;
    }
}

#[tokio::test]
async fn a_gateway_that_slept_while_the_stream_was_trimmed_forgets_what_it_stored() {
    let fleet = Fleet::start(3).await;
    // One record may already be on its way to the gateway, and one is left: one record is lost.
    let files = ["a", "b", "c"];
    for file in files {
        fleet.warm(file).await;
    }
    fleet.gateways[2].pause();
    for file in files {
        fleet.origin.raise(file);
        fleet.gateways[0].purges(&format!("/api/cache/{file}")).await;
    }
    assert!(fleet.redis.ask::<u64>("XTRIM ikgate:stream MAXLEN 1") > 0);
    fleet.gateways[2].resume();
    for file in files {
        fleet.gateways[2].answers_with(file, 2).await;
    }
    fleet.gateways[2].is_connected().await;
    fleet.gateways[2].shows("ikgate_cluster_resets_total", 1.0).await;
    fleet.gateways[1].shows("ikgate_cluster_resets_total", 0.0).await;
}
