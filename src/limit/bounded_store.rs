//! Bounded store of GCRA state for very many callers.
//!
//! governor keeps the *theoretical arrival time* (TAT) of each key. Once that has passed, the key
//! has its full quota, exactly like a key that was never seen. So at capacity only such keys are
//! evicted, and eviction refills no quota. If no key can be evicted, new keys share one overflow
//! cell per shard. So a flood of addresses throttles itself, and never a tracked caller that has
//! spent some of its quota.

use std::hash::Hash;
use std::sync::Arc;

use governor::nanos::Nanos;
use governor::state::StateStore;

use super::bounded_map::BoundedMap;
use crate::clock::Clock;

/// Bounded map from caller to TAT, in the clock's own time. Clones share it.
pub(super) struct BoundedStore<K>(Arc<TatMap<K>>);

struct TatMap<K> {
    /// The map's extra value of each shard is the overflow cell.
    map: BoundedMap<K, Nanos, Option<Nanos>>,
    clock: Clock,
}

impl<K> Clone for BoundedStore<K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K: Clone + Eq + Hash> BoundedStore<K> {
    pub(super) fn new(capacity: usize, clock: Clock) -> Self {
        Self(Arc::new(TatMap { map: BoundedMap::new(capacity), clock }))
    }

    /// Returns the test whether a key can be evicted: its TAT has passed.
    fn is_evictable(&self) -> impl Fn(&Nanos) -> bool {
        let now = Nanos::from(self.0.clock.monotonic());
        move |tat| *tat <= now
    }
}

impl<K> BoundedStore<K> {
    pub(super) fn len(&self) -> usize {
        self.0.map.len()
    }

    /// Sets each TAT that is later than `latest` to `latest`.
    pub(super) fn clamp(&self, latest: Nanos) {
        let clamp = |tat: &mut Nanos| *tat = latest.min(*tat);
        self.0.map.for_each(clamp, |overflow| overflow.iter_mut().for_each(clamp));
    }
}

/// Read-only view of a store: it decides without counting. A key with a full quota may still be
/// evicted.
pub(super) struct ReadOnlyStore<'a, K>(pub(super) &'a BoundedStore<K>);

impl<K: Clone + Eq + Hash> StateStore for ReadOnlyStore<'_, K> {
    type Key = K;

    fn measure_and_replace<T, F, E>(&self, key: &K, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut shard = self.0.0.map.shard(key);
        let tat = match shard.get_mut(key).map(|tat| *tat) {
            Some(tat) => Some(tat),
            None if shard.make_room(self.0.is_evictable()) => None,
            None => shard.extra,
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
        let mut shard = self.0.map.shard(key);
        if let Some(tat) = shard.get_mut(key) {
            let (verdict, next) = decide(Some(*tat))?;
            *tat = next;
            return Ok(verdict);
        }
        if shard.make_room(self.is_evictable()) {
            let (verdict, next) = decide(None)?;
            shard.insert(key.clone(), next);
            return Ok(verdict);
        }
        let (verdict, next) = decide(shard.extra)?;
        shard.extra = Some(next);
        Ok(verdict)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::limit::bounded_map::SHARDS;
    use crate::limit::limiter::Limiter;
    use crate::limit::{Limit, Quota};

    fn limiter(capacity: usize) -> (Limiter<u32, BoundedStore<u32>>, Clock) {
        let clock = Clock::manual();
        clock.advance(Duration::from_secs(5));
        let store = BoundedStore::new(capacity, clock.clone());
        let quota = Quota::new(1, 1).unwrap();
        (Limiter::new(Limit::Address, quota, store, &clock), clock)
    }

    /// A limiter starts at the clock's zero, whenever it is made: governor reads its clock for the
    /// start before anything else. Otherwise a limiter over the same store would count from another
    /// time.
    #[test]
    fn stored_times_count_from_the_zero_of_the_clock() {
        let (limiter, clock) = limiter(64);
        assert!(limiter.check(&1).is_ok());
        let stored = |key| limiter.store.0.map.shard(&key).get_mut(&key).copied();
        assert_eq!(stored(1), Some(Nanos::from(Duration::from_secs(6))));
        clock.advance(Duration::from_secs(10));
        let later = limiter.renewed(Quota::new(1, 1).unwrap());
        assert!(later.check(&2).is_ok());
        assert_eq!(stored(2), Some(Nanos::from(Duration::from_secs(16))));
    }

    #[test]
    fn a_flood_of_new_keys_neither_grows_the_state_nor_refills_an_old_key() {
        let (limiter, _clock) = limiter(640);
        assert!(limiter.check(&0).is_ok());
        let admitted = (1..100_000).filter(|key| limiter.check(key).is_ok()).count();
        assert_eq!(limiter.store.len(), 640);
        // Each key that fits has its own state; the rest share one cell in each shard.
        assert_eq!(admitted, 639 + SHARDS);
        assert!(limiter.check(&0).is_err(), "still throttled after the flood");
    }

    #[test]
    fn keys_with_a_full_quota_are_evicted() {
        let (limiter, clock) = limiter(64);
        for key in 0..10_000 {
            let _ = limiter.check(&key);
        }
        clock.advance(Duration::from_secs(1));
        let admitted = (10_000..20_000).filter(|key| limiter.check(key).is_ok()).count();
        assert_eq!(limiter.store.len(), 64);
        assert_eq!(admitted, 64 + SHARDS, "each old key was evicted, each shared cell was full");
    }

    #[test]
    fn a_peek_counts_nothing() {
        let (limiter, clock) = limiter(64);
        for _ in 0..10 {
            assert!(limiter.peek(&1).is_ok());
        }
        assert!(limiter.check(&1).is_ok());
        let refused = limiter.peek(&1).unwrap_err();
        assert_eq!(refused.wait, Duration::from_secs(1));
        clock.advance(Duration::from_millis(999));
        assert!(limiter.peek(&1).is_err());
        clock.advance(Duration::from_millis(1));
        assert!(limiter.peek(&1).is_ok());
    }

    #[test]
    fn a_peek_of_a_new_key_decides_by_the_overflow_cell() {
        let (limiter, _clock) = limiter(64);
        for key in 0..10_000 {
            let _ = limiter.check(&key);
        }
        let admitted = (10_000..20_000).filter(|key| limiter.peek(key).is_ok()).count();
        assert_eq!(admitted, 0);
    }
}
