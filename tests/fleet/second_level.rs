//! Fleet tests of the second-level cache: a list that one gateway fetched is not fetched by the
//! others.
//!
//! If Redis does not answer within 20 ms, a gateway fetches from the upstream. On a busy machine
//! this may happen at any time. So these tests request several files and count.

use tokio::task::JoinSet;
use tokio::time::{Duration, Instant, timeout};

use crate::support::{Answer, Fleet, Gateway, Mode, Redis, appears, eventually, send};

const FILES: usize = 20;
const FAILED: &str = "ikgate_second_level_total{outcome=\"failed\"}";

fn names() -> Vec<String> {
    (0..FILES).map(|file| format!("file-{file}")).collect()
}

/// Makes a gateway fetch a file and store it in Redis, and repeats this until it is there. After a
/// failed or late lookup the fetched list is not shared, until it is fetched again.
pub(crate) async fn share(gateway: &Gateway, redis: &Redis, file: &str) {
    let command = format!("EXISTS ikgate:list:{file}");
    eventually(&format!("{file} is shared"), async || {
        assert_eq!(gateway.version(file).await, 1);
        let shared = appears("it is kept", || (redis.ask::<u8>(&command) == 1).then_some(()));
        let shared = timeout(Duration::from_secs(1), shared).await.ok();
        if shared.is_none() {
            gateway.purges(&format!("/api/cache/{file}")).await;
        }
        shared
    })
    .await;
}

/// Returns the number of additional fetches that are allowed, because a gateway does not use Redis
/// for a while after a late answer.
async fn allowance(fleet: &Fleet) -> f64 {
    let mut failed = 0.0;
    for gateway in &fleet.gateways {
        failed += gateway.metric(FAILED).await;
    }
    failed * 5.0
}

#[tokio::test]
async fn what_fifty_ask_five_gateways_for_is_fetched_once() {
    let fleet = Fleet::start(5).await;
    // Long enough that all requests arrive during the fetch.
    fleet.origin.takes(200..201);
    for file in names() {
        let mut asked = JoinSet::new();
        for place in 0..50 {
            let address = fleet.gateways[place % 5].public;
            let target = format!("/v1/files/{file}/versions");
            asked.spawn(async move { send(address, "GET", &target, "", "").await.unwrap() });
        }
        for answer in asked.join_all().await {
            assert_eq!(answer.version(), 1);
        }
    }
    let counts: Vec<_> = names().iter().map(|file| fleet.origin.asked(file)).collect();
    assert!(counts.iter().all(|&count| (1..=5).contains(&count)), "{counts:?}");
    let more = f64::from(u32::try_from(counts.iter().sum::<usize>() - FILES).unwrap());
    assert!(more <= allowance(&fleet).await, "{counts:?}");
}

#[tokio::test]
async fn a_gateway_that_starts_finds_what_others_have_fetched_and_how_old_it_is() {
    let mut fleet = Fleet::start(2).await;
    for file in names() {
        share(&fleet.gateways[0], &fleet.redis, &file).await;
    }
    let age = |answer: Answer| answer.field("age").parse::<u64>().unwrap();
    eventually("the last is a second old", async || {
        let last = fleet.gateways[0].get(&names()[FILES - 1]).await;
        (age(last) >= 1).then_some(())
    })
    .await;
    fleet.replace(1).await;
    fleet.gateways[1].is_connected().await;
    let mut fetched = 0;
    for file in names() {
        let answer = fleet.gateways[1].get(&file).await;
        assert_eq!(answer.version(), 1);
        if answer.field("cache-status") == "ikgate; hit; detail=l2" {
            assert!(age(answer) >= 1);
        } else {
            fetched += 1;
        }
    }
    assert!(f64::from(fetched) <= allowance(&fleet).await, "{fetched} fetched");
}

/// RFC 9111 section 5.2.2: a `no-store` list is stored nowhere. A `no-transform` list is not
/// shared, because the other gateways would not know of the directive.
#[tokio::test]
async fn what_is_not_for_keeping_or_not_for_coding_is_not_shared() {
    let fleet = Fleet::start(2).await;
    for fields in ["Cache-Control: no-store\r\n", "Cache-Control: no-transform\r\n"] {
        fleet.origin.says(fields);
        for file in names() {
            let before = fleet.origin.asked(&file);
            for gateway in &fleet.gateways {
                gateway.purges(&format!("/api/cache/{file}")).await;
            }
            for gateway in &fleet.gateways {
                assert_eq!(gateway.version(&file).await, 1);
            }
            assert_eq!(fleet.origin.asked(&file) - before, 2, "{fields:?}");
        }
    }
}

#[tokio::test]
async fn what_was_asked_for_before_a_purge_is_not_shared_after_it() {
    let fleet = Fleet::start(2).await;
    // From now on, Redis has the script that stores lists.
    share(&fleet.gateways[0], &fleet.redis, "b").await;
    fleet.origin.hold("a");
    let (address, target) = (fleet.gateways[0].public, "/v1/files/a/versions");
    let asked = tokio::spawn(async move { send(address, "GET", target, "", "").await.unwrap() });
    fleet.origin.is_asked("a", 1).await;
    // The gateway does not hear of the purge, but its store reaches Redis.
    fleet.links[0].is(Mode::Deaf);
    let before = fleet.gateways[0].metric(FAILED).await;
    let version = fleet.origin.raise("a");
    fleet.gateways[1].purges("/api/cache/a").await;
    fleet.origin.release("a");
    assert_eq!(asked.await.unwrap().version(), 1);
    // The gateway does not hear the answer to its store either.
    eventually("it has tried to store it", async || {
        let after = fleet.gateways[0].metric(FAILED).await;
        after.total_cmp(&before).is_gt().then_some(())
    })
    .await;
    assert_eq!(fleet.gateways[1].version("a").await, version);
    fleet.links[0].is(Mode::Open);
    fleet.answers_with("a", version).await;
}

#[tokio::test]
async fn a_gateway_that_dies_while_the_others_wait_for_it_keeps_them_for_a_second() {
    let mut fleet = Fleet::start(3).await;
    fleet.origin.hold("a");
    let (address, target) = (fleet.gateways[0].public, "/v1/files/a/versions");
    tokio::spawn(async move { _ = send(address, "GET", target, "", "").await });
    fleet.origin.is_asked("a", 1).await;
    fleet.gateways[0].kill();
    fleet.origin.release("a");
    let began = Instant::now();
    for gateway in &fleet.gateways[1..] {
        assert_eq!(gateway.version("a").await, 1);
    }
    // The upstream answers at once. The limit allows for a busy machine.
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
}

#[tokio::test]
async fn without_redis_what_is_stored_is_answered_and_the_rest_is_fetched() {
    let fleet = Fleet::start(2).await;
    fleet.warm("a").await;
    fleet.redis.pause();
    let began = Instant::now();
    for gateway in &fleet.gateways {
        assert!(gateway.get("a").await.field("cache-status").contains("hit"));
        for file in names() {
            assert_eq!(gateway.version(&file).await, 1);
        }
    }
    // Each of twenty fetches looks up in vain, for at most 20 ms.
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    fleet.redis.resume();
}

#[tokio::test]
async fn a_gateway_that_has_purged_alone_does_not_get_the_old_from_the_others() {
    let fleet = Fleet::start(2).await;
    for file in names() {
        share(&fleet.gateways[1], &fleet.redis, &file).await;
    }
    fleet.links[0].is(Mode::Closed);
    for file in names() {
        fleet.origin.raise(&file);
        fleet.gateways[0].purges_alone(&format!("/api/cache/{file}")).await;
    }
    // The gateway publishes one purge after the other, and its lookups are answered in time.
    fleet.links[0].is(Mode::Slow(Duration::from_millis(6)));
    eventually("it tells them", async || {
        let pending = fleet.gateways[0].metric("ikgate_cluster_pending_purges").await;
        #[expect(clippy::cast_precision_loss, reason = "there are few")]
        (pending < FILES as f64).then_some(())
    })
    .await;
    for file in names().iter().rev() {
        assert_eq!(fleet.gateways[0].version(file).await, 2);
    }
    for file in names() {
        fleet.answers_with(&file, 2).await;
    }
}
