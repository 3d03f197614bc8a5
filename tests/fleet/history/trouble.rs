//! Fault injection: a seed decides the part that fails, the time and the duration.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::support::{Fleet, Mode};

/// Time without a fault of one part, in milliseconds.
const CALM: Range<u64> = 500..4000;
/// Duration of a fault, in milliseconds. A gateway notices one after three seconds.
const TROUBLE: Range<u64> = 100..6000;
/// Duration of a fault that affects all gateways, in milliseconds.
const SHARED_TROUBLE: Range<u64> = 100..1500;

/// Faults that may happen to Redis.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Memory {
    /// Redis is also killed, emptied and trimmed. After each of these every gateway drops its
    /// stored lists, which hides purges that it missed before.
    Fails,
    /// Redis is paused at worst.
    Holds,
}

/// Starts the faults. They end at `until`, and then every part works again.
pub(super) fn begin(fleet: &Arc<Fleet>, memory: Memory, seed: u64, until: Instant) -> JoinSet<()> {
    let (mut troubles, mut seeds) = (JoinSet::new(), Rng::with_seed(seed));
    for place in 0..fleet.gateways.len() {
        troubles.spawn(of_link(Arc::clone(fleet), place, seeds.fork(), until));
    }
    troubles.spawn(of_gateways(Arc::clone(fleet), seeds.fork(), until));
    troubles.spawn(of_redis(Arc::clone(fleet), memory, seeds.fork(), until));
    troubles
}

/// Sleeps for a random time of `range`. Returns whether the run is over.
async fn lasts(rng: &mut Rng, range: Range<u64>, until: Instant) -> bool {
    let end = Instant::now() + Duration::from_millis(rng.u64(range));
    sleep_until(end.min(until)).await;
    end >= until
}

async fn of_link(fleet: Arc<Fleet>, place: usize, mut rng: Rng, until: Instant) {
    let link = &fleet.links[place];
    while !lasts(&mut rng, CALM, until).await {
        let by = Duration::from_millis(rng.u64(10..400));
        let modes = [Mode::Closed, Mode::Deaf, Mode::Silent, Mode::Slow(by)];
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

async fn of_redis(fleet: Arc<Fleet>, memory: Memory, mut rng: Rng, until: Instant) {
    let redis = &fleet.redis;
    while !lasts(&mut rng, CALM, until).await {
        match rng.u8(if memory == Memory::Fails { 0..4 } else { 0..1 }) {
            0 => {
                redis.pause();
                lasts(&mut rng, SHARED_TROUBLE, until).await;
                redis.resume();
            }
            1 => {
                redis.kill();
                lasts(&mut rng, SHARED_TROUBLE, until).await;
                redis.restart().await;
            }
            2 => redis.ask("FLUSHALL"),
            _ => _ = redis.ask::<u64>("XTRIM ikgate:stream MAXLEN 1"),
        }
    }
}
