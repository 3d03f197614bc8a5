//! State of very many callers in a fixed amount of memory.
//!
//! governor keeps for each key its *theoretical arrival time* (TAT): once that has passed, the
//! key has its full quota, exactly as one never seen. So at capacity only such keys make room,
//! and evicting refills nobody. While none can go, newcomers share one overflow cell per shard:
//! a spray of addresses throttles itself, and never a caller that was there before.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::Arc;

use ahash::RandomState;
use governor::nanos::Nanos;
use governor::state::StateStore;
use parking_lot::Mutex;

use crate::clock::Clock;

/// More shards let more threads work at once; each costs a little memory and rounds the
/// capacity.
const SHARDS: usize = 64;

/// How many of the oldest keys are looked at to make room for one. More find a free place in a
/// nearly full shard more often; fewer bound the time a newcomer costs.
const EVICTION_TRIES: usize = 8;

/// A bounded map from caller to its TAT, on the clock's own time. Clones share it.
pub(super) struct BoundedStore<K>(Arc<Shards<K>>);

struct Shards<K> {
    all: Vec<Mutex<Shard<K>>>,
    hasher: RandomState,
    clock: Clock,
    per_shard: usize,
}

impl<K> Clone for BoundedStore<K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

struct Shard<K> {
    cells: HashMap<K, Nanos, RandomState>,
    // The same keys in the order they came, the next to be looked at for eviction in front.
    order: VecDeque<K>,
    overflow: Option<Nanos>,
}

impl<K: Clone + Eq + Hash> BoundedStore<K> {
    pub(super) fn new(capacity: usize, clock: Clock) -> Self {
        let per_shard = capacity.div_ceil(SHARDS);
        // They grow as callers come. Room for all at once would be resident at once, where the
        // system has huge pages: 45 MiB of it, by default.
        let shard = || Shard {
            cells: HashMap::with_hasher(RandomState::new()),
            order: VecDeque::new(),
            overflow: None,
        };
        Self(Arc::new(Shards {
            all: std::iter::repeat_with(|| Mutex::new(shard())).take(SHARDS).collect(),
            hasher: RandomState::new(),
            clock,
            per_shard,
        }))
    }

    fn shard(&self, key: &K) -> &Mutex<Shard<K>> {
        // The shards' maps hash with other keys, so the choice of shard does not thin them out.
        let place = usize::try_from(self.0.hasher.hash_one(key) % SHARDS as u64);
        place.ok().and_then(|place| self.0.all.get(place)).expect("a remainder is in range")
    }

    /// Whether there is room for one more key in this shard.
    fn has_room(&self, shard: &mut Shard<K>) -> bool {
        shard.make_room(Nanos::from(self.0.clock.monotonic()), self.0.per_shard)
    }
}

impl<K> BoundedStore<K> {
    pub(super) fn len(&self) -> usize {
        self.0.all.iter().map(|shard| shard.lock().cells.len()).sum()
    }

    /// Lets no TAT be later than `latest`.
    pub(super) fn clamp(&self, latest: Nanos) {
        for shard in &self.0.all {
            let mut shard = shard.lock();
            let Shard { cells, overflow, order: _ } = &mut *shard;
            for tat in cells.values_mut().chain(overflow) {
                *tat = latest.min(*tat);
            }
        }
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

/// A store that is asked what it would decide, and counts nothing. Whoever has a full quota may
/// still give way.
pub(super) struct Unchanged<'a, K>(pub(super) &'a BoundedStore<K>);

impl<K: Clone + Eq + Hash> StateStore for Unchanged<'_, K> {
    type Key = K;

    fn measure_and_replace<T, F, E>(&self, key: &K, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut shard = self.0.shard(key).lock();
        let tat = match shard.cells.get(key).copied() {
            Some(tat) => Some(tat),
            None if self.0.has_room(&mut shard) => None,
            None => shard.overflow,
        };
        decide(tat).map(|(verdict, _next)| verdict)
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
        if self.has_room(&mut shard) {
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::limit::bucket::Bucket;
    use crate::limit::{Limit, Quota};

    fn bucket(capacity: usize) -> (Bucket<u32, BoundedStore<u32>>, Clock) {
        let clock = Clock::manual();
        clock.advance(Duration::from_secs(5));
        let store = BoundedStore::new(capacity, clock.clone());
        let quota = Quota::new(1, 1).unwrap();
        (Bucket::new(Limit::Address, quota, store, &clock), clock)
    }

    #[test]
    fn a_spray_of_new_keys_neither_grows_the_state_nor_refills_a_known_one() {
        let (bucket, _clock) = bucket(640);
        assert!(bucket.check(&0).is_ok());
        let admitted = (1..100_000).filter(|key| bucket.check(key).is_ok()).count();
        assert_eq!(bucket.store.len(), 640);
        // A place of its own for each that fits, one shared cell in every shard for the rest.
        assert_eq!(admitted, 639 + SHARDS);
        assert!(bucket.check(&0).is_err(), "still throttled after the spray");
    }

    #[test]
    fn keys_with_a_full_quota_make_room() {
        let (bucket, clock) = bucket(64);
        for key in 0..10_000 {
            let _ = bucket.check(&key);
        }
        clock.advance(Duration::from_secs(1));
        let admitted = (10_000..20_000).filter(|key| bucket.check(key).is_ok()).count();
        assert_eq!(bucket.store.len(), 64);
        assert_eq!(admitted, 64 + SHARDS, "each old key gave way, each shared cell was full");
    }
    #[test]
    fn asking_whether_a_request_would_be_admitted_counts_nothing() {
        let (bucket, clock) = bucket(64);
        for _ in 0..10 {
            assert!(bucket.peek(&1).is_ok());
        }
        assert!(bucket.check(&1).is_ok());
        let refused = bucket.peek(&1).unwrap_err();
        assert_eq!(refused.wait, Duration::from_secs(1));
        clock.advance(Duration::from_millis(999));
        assert!(bucket.peek(&1).is_err());
        clock.advance(Duration::from_millis(1));
        assert!(bucket.peek(&1).is_ok());
    }

    #[test]
    fn newcomers_that_share_a_cell_are_told_how_that_one_stands() {
        let (bucket, _clock) = bucket(64);
        for key in 0..10_000 {
            let _ = bucket.check(&key);
        }
        let admitted = (10_000..20_000).filter(|key| bucket.peek(key).is_ok()).count();
        assert_eq!(admitted, 0);
    }
}
