//! State of very many callers in a fixed amount of memory.
//!
//! governor keeps for each key its *theoretical arrival time* (TAT): once that has passed, the
//! key has its full quota, exactly as one never seen. So at capacity only such keys make room,
//! and evicting refills nobody. While none can go, newcomers share one overflow cell per shard:
//! a spray of addresses throttles itself, and never a caller that was there before.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

use ahash::RandomState;
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::state::keyed::ShrinkableKeyedStateStore;
use parking_lot::Mutex;

use crate::clock::Clock;

/// More shards let more threads work at once; each costs a little memory and rounds the
/// capacity.
const SHARDS: usize = 64;

/// How many of the oldest keys are looked at to make room for one. More find a free place in a
/// nearly full shard more often; fewer bound the time a newcomer costs.
const EVICTION_TRIES: usize = 8;

/// A bounded map from caller to its TAT.
pub(super) struct BoundedStore<K> {
    shards: Vec<Mutex<Shard<K>>>,
    hasher: RandomState,
    clock: Clock,
    /// governor's times count from when the limiter was made, a moment after this.
    started: Nanos,
    per_shard: usize,
}

struct Shard<K> {
    cells: HashMap<K, Nanos, RandomState>,
    // The same keys in the order they came, the next to be looked at for eviction in front.
    order: VecDeque<K>,
    overflow: Option<Nanos>,
}

impl<K: Clone + Eq + Hash> BoundedStore<K> {
    pub(super) fn new(capacity: usize, clock: Clock) -> Self {
        let shard = || Shard { cells: HashMap::default(), order: VecDeque::new(), overflow: None };
        Self {
            shards: std::iter::repeat_with(|| Mutex::new(shard())).take(SHARDS).collect(),
            hasher: RandomState::new(),
            started: governor::clock::Clock::now(&clock),
            clock,
            per_shard: capacity.div_ceil(SHARDS),
        }
    }

    fn shard(&self, key: &K) -> &Mutex<Shard<K>> {
        // The shards' maps hash with other keys, so the choice of shard does not thin them out.
        let place = usize::try_from(self.hasher.hash_one(key) % SHARDS as u64);
        place.ok().and_then(|place| self.shards.get(place)).expect("a remainder is in range")
    }

    fn now(&self) -> Nanos {
        governor::clock::Clock::now(&self.clock).saturating_sub(self.started)
    }
}

impl<K: Clone + Eq + Hash> Shard<K> {
    /// Whether there is room for one more, after looking at the oldest keys.
    fn make_room(&mut self, now: Nanos, capacity: usize) -> bool {
        for _ in 0..EVICTION_TRIES {
            if self.cells.len() < capacity {
                return true;
            }
            let Some(oldest) = self.order.pop_front() else { break };
            if self.cells.get(&oldest).is_some_and(|tat| *tat > now) {
                self.order.push_back(oldest);
            } else {
                self.cells.remove(&oldest);
            }
        }
        self.cells.len() < capacity
    }
}

impl<K: Clone + Eq + Hash> StateStore for BoundedStore<K> {
    type Key = K;

    fn measure_and_replace<T, F, E>(&self, key: &K, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut shard = self.shard(key).lock();
        if let Some(tat) = shard.cells.get_mut(key) {
            let (verdict, next) = decide(Some(*tat))?;
            *tat = next;
            return Ok(verdict);
        }
        if shard.make_room(self.now(), self.per_shard) {
            let (verdict, next) = decide(None)?;
            shard.cells.insert(key.clone(), next);
            shard.order.push_back(key.clone());
            return Ok(verdict);
        }
        let (verdict, next) = decide(shard.overflow)?;
        shard.overflow = Some(next);
        Ok(verdict)
    }
}

impl<K: Clone + Eq + Hash> ShrinkableKeyedStateStore<K> for BoundedStore<K> {
    /// Nothing to do: keys leave when others need their place.
    fn retain_recent(&self, _drop_below: Nanos) {}

    fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().cells.len()).sum()
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::time::Duration;

    use governor::middleware::NoOpMiddleware;
    use governor::{Quota, RateLimiter};

    use super::*;

    type Limiter = RateLimiter<u32, BoundedStore<u32>, Clock, NoOpMiddleware<Nanos>>;

    fn limiter(capacity: usize) -> (Limiter, Clock) {
        let clock = Clock::manual();
        clock.advance(Duration::from_secs(5));
        let quota = Quota::per_second(NonZeroU32::new(1).unwrap());
        let store = BoundedStore::new(capacity, clock.clone());
        (RateLimiter::new(quota, store, clock.clone()), clock)
    }

    #[test]
    fn a_spray_of_new_keys_neither_grows_the_state_nor_refills_a_known_one() {
        let (limiter, _clock) = limiter(640);
        assert!(limiter.check_key(&0).is_ok());
        let admitted = (1..100_000).filter(|key| limiter.check_key(key).is_ok()).count();
        assert_eq!(limiter.len(), 640);
        // A place of its own for each that fits, one shared cell in every shard for the rest.
        assert_eq!(admitted, 639 + SHARDS);
        assert!(limiter.check_key(&0).is_err(), "still throttled after the spray");
    }

    #[test]
    fn keys_with_a_full_quota_make_room() {
        let (limiter, clock) = limiter(64);
        for key in 0..10_000 {
            let _ = limiter.check_key(&key);
        }
        clock.advance(Duration::from_secs(1));
        let admitted = (10_000..20_000).filter(|key| limiter.check_key(key).is_ok()).count();
        assert_eq!(limiter.len(), 64);
        assert_eq!(admitted, 64 + SHARDS, "each old key gave way, each shared cell was full");
    }
}
