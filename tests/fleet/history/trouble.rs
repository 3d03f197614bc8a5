//! What breaks, when, and for how long: as a seed says.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use crate::support::{Fleet, Mode};

/// How long all is well with one thing, in milliseconds.
const CALM: Range<u64> = 500..4000;
/// How long it is not. A gateway notices after three seconds.
const TROUBLE: Range<u64> = 100..5000;
/// The same of what is in everybody's way.
const SHARED_TROUBLE: Range<u64> = 100..1500;

/// Until then, after which everything is as it should be.
pub(super) fn begin(fleet: &Arc<Fleet>, seed: u64, until: Instant) -> JoinSet<()> {
    let (mut troubles, mut seeds) = (JoinSet::new(), Rng::with_seed(seed));
    for place in 0..fleet.gateways.len() {
        troubles.spawn(of_link(Arc::clone(fleet), place, seeds.fork(), until));
    }
    troubles.spawn(of_gateways(Arc::clone(fleet), seeds.fork(), until));
    troubles.spawn(of_redis(Arc::clone(fleet), seeds.fork(), until));
    troubles
}

/// Whether it is over.
async fn lasts(rng: &mut Rng, range: Range<u64>, until: Instant) -> bool {
    let end = Instant::now() + Duration::from_millis(rng.u64(range));
    sleep_until(end.min(until)).await;
    end >= until
}

async fn of_link(fleet: Arc<Fleet>, place: usize, mut rng: Rng, until: Instant) {
    let link = &fleet.links[place];
    while !lasts(&mut rng, CALM, until).await {
        let by = Duration::from_millis(rng.u64(10..400));
        let modes = [Mode::Closed, Mode::Silent, Mode::Silent, Mode::Slow(by)];
        link.is(modes[rng.usize(0..modes.len())]);
        lasts(&mut rng, TROUBLE, until).await;
        link.is(Mode::Open);
    }
}

async fn of_gateways(fleet: Arc<Fleet>, mut rng: Rng, until: Instant) {
    while !lasts(&mut rng, CALM, until).await {
        let gateway = &fleet.gateways[rng.usize(0..fleet.gateways.len())];
        gateway.pause();
        lasts(&mut rng, TROUBLE, until).await;
        gateway.resume();
    }
}

async fn of_redis(fleet: Arc<Fleet>, mut rng: Rng, until: Instant) {
    let redis = &fleet.redis;
    while !lasts(&mut rng, CALM, until).await {
        match rng.u8(0..4) {
            0 => {
                redis.kill();
                lasts(&mut rng, SHARED_TROUBLE, until).await;
                redis.restart().await;
            }
            1 => {
                redis.pause();
                lasts(&mut rng, SHARED_TROUBLE, until).await;
                redis.resume();
            }
            2 => redis.ask("FLUSHALL"),
            _ => _ = redis.ask::<u64>("XTRIM ikgate:stream MAXLEN 1"),
        }
    }
}

/// Before somebody does the next thing.
pub(super) async fn think(rng: &mut Rng, range: Range<u64>) {
    sleep(Duration::from_millis(rng.u64(range))).await;
}
