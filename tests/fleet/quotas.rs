//! Fleet tests of shared quotas, measured by the number of admitted requests.
//!
//! While Redis does not answer in time, a gateway spends its own share in addition. On a busy
//! machine this can add up to one more burst, and never more.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use tokio::task::JoinSet;
use tokio::time::{Duration, Instant, sleep, timeout};

use crate::support::{Fleet, eventually, send};

const GATEWAYS: usize = 5;
const KEY: &str = "a-key-of-the-web-team";
const PER_SECOND: f64 = 50.0;
const BURST: f64 = 50.0;

/// Duration of a load in which all clients request as much as they can.
const LASTING: Duration = Duration::from_secs(3);
/// Pause of one client between two requests. All clients together send ten times the quota.
const PAUSE: Duration = Duration::from_millis(10);

fn callers() -> String {
    let hex = format!("{:x}", Sha256::digest(KEY));
    format!(
        "[[callers]]\nname = \"web\"\nkey_sha256 = \"{hex}\"\n\
         quota = {{ per_second = {PER_SECOND}, burst = {BURST} }}"
    )
}

/// Returns the number of one caller's requests that these gateways admitted, and the time they
/// took.
async fn admitted(fleet: &Fleet, places: std::ops::Range<usize>, lasting: Duration) -> (f64, f64) {
    let (began, mut askers) = (Instant::now(), JoinSet::new());
    for gateway in &fleet.gateways[places] {
        let address = gateway.public;
        askers.spawn(async move {
            let (mut admitted, fields) = (0, format!("Authorization: Bearer {KEY}\r\n"));
            while began.elapsed() < lasting {
                let asked = send(address, "GET", "/v1/files/a/versions", &fields, "");
                match asked.await.unwrap().status {
                    200 => admitted += 1,
                    status => assert_eq!(status, 429),
                }
                sleep(PAUSE).await;
            }
            admitted
        });
    }
    let admitted: u32 = askers.join_all().await.into_iter().sum();
    (f64::from(admitted), began.elapsed().as_secs_f64())
}

#[tokio::test]
async fn what_one_caller_may_send_is_counted_once_for_all_gateways() {
    let fleet = Fleet::configured(GATEWAYS, &callers()).await;
    fleet.warm("a").await;
    let (admitted, seconds) = admitted(&fleet, 0..GATEWAYS, LASTING).await;
    let whole = BURST + PER_SECOND * seconds;
    assert!(admitted <= whole + BURST, "{admitted} in {seconds} s");
    assert!(admitted >= whole * 0.6, "{admitted} in {seconds} s");
}

#[tokio::test]
async fn without_redis_each_gateway_has_its_part() {
    let fleet = Fleet::configured(GATEWAYS, &callers()).await;
    fleet.warm("a").await;
    fleet.redis.kill();
    for gateway in &fleet.gateways {
        gateway.is_cut_off().await;
    }
    for place in [0, GATEWAYS - 1] {
        let (admitted, seconds) =
            admitted(&fleet, place..place + 1, Duration::from_millis(500)).await;
        let part = (BURST + PER_SECOND * seconds) / 5.0;
        assert!(admitted <= part + 1.0, "{admitted} in {seconds} s");
        assert!(admitted >= BURST / 5.0, "{admitted} in {seconds} s");
    }
}

#[tokio::test]
async fn each_gateway_has_its_part_of_what_an_address_may_send() {
    let quota = "limits.anonymous = { per_second = 10, burst = 50 }";
    let fleet = Fleet::configured(GATEWAYS, quota).await;
    eventually("a fifth is shown", async || {
        let shown = fleet.gateways[0].get("a").await;
        shown.field("ratelimit-policy").starts_with("\"anonymous\";q=10;").then_some(())
    })
    .await;
    let (began, mut admitted) = (Instant::now(), 0);
    for _ in 0..50 {
        admitted += u32::from(fleet.gateways[0].get("a").await.status == 200);
    }
    let part = 10.0 + 2.0 * began.elapsed().as_secs_f64();
    assert!(f64::from(admitted) <= part + 1.0, "{admitted} of {part}");
}

#[tokio::test]
async fn what_the_upstream_may_be_asked_is_counted_once_for_all_gateways() {
    let budget = "upstream.budget = { per_second = 50, burst = 50 }";
    let fleet = Arc::new(Fleet::configured(GATEWAYS, budget).await);
    let (began, mut askers) = (Instant::now(), JoinSet::new());
    for asker in 0..4 * GATEWAYS {
        let fleet = Arc::clone(&fleet);
        askers.spawn(async move {
            for number in 0.. {
                // Files that no gateway has stored, so that each must be fetched.
                fleet.gateways[asker % GATEWAYS].get(&format!("{asker}-{number}")).await;
                sleep(PAUSE).await;
            }
        });
    }
    _ = timeout(LASTING, askers.join_next()).await;
    askers.shutdown().await;
    let (asked, whole) = (fleet.origin.asked_in_all(), 50.0 + 50.0 * began.elapsed().as_secs_f64());
    let asked = f64::from(u32::try_from(asked).unwrap());
    assert!(asked <= whole + 50.0, "{asked} of {whole}");
    assert!(asked >= whole * 0.5, "{asked} of {whole}");
}
