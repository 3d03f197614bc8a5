//! The shares of very many, in a fixed amount of memory: whoever has not been there for so long
//! that its quota is whole again gives way, and nobody else.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use ahash::RandomState;
use parking_lot::Mutex;

use super::quota::Quota;
use super::share::Share;

/// More shards let more threads work at once; each costs a little memory.
const SHARDS: usize = 64;

/// How many of the oldest are looked at to make room for one.
const EVICTION_TRIES: usize = 8;

pub(super) struct Shares<K> {
    shards: Vec<Mutex<Shard<K>>>,
    hasher: RandomState,
    per_shard: usize,
}

struct Shard<K> {
    shares: HashMap<K, Arc<Share>, RandomState>,
    /// The same in the order they came.
    order: VecDeque<K>,
}

impl<K: Copy + Eq + Hash> Shares<K> {
    pub(super) fn new(capacity: usize) -> Self {
        let shard = || Shard { shares: HashMap::default(), order: VecDeque::new() };
        Self {
            shards: std::iter::repeat_with(|| Mutex::new(shard())).take(SHARDS).collect(),
            hasher: RandomState::new(),
            per_shard: capacity.div_ceil(SHARDS),
        }
    }

    /// `None`: there are too many.
    pub(super) fn get(&self, key: K, quota: Quota, now: Duration) -> Option<Arc<Share>> {
        let place = usize::try_from(self.hasher.hash_one(key) % SHARDS as u64).ok()?;
        let mut shard = self.shards.get(place)?.lock();
        if let Some(share) = shard.shares.get(&key) {
            return Some(Arc::clone(share));
        }
        shard.make_room(self.per_shard, quota, now).then(|| {
            let new = Arc::<Share>::default();
            shard.shares.insert(key, Arc::clone(&new));
            shard.order.push_back(key);
            new
        })
    }
}

impl<K: Copy + Eq + Hash> Shard<K> {
    fn make_room(&mut self, capacity: usize, quota: Quota, now: Duration) -> bool {
        for _ in 0..EVICTION_TRIES {
            if self.shares.len() < capacity {
                return true;
            }
            let Some(oldest) = self.order.pop_front() else { break };
            if self.shares.get(&oldest).is_some_and(|share| !share.is_idle(quota, now)) {
                self.order.push_back(oldest);
            } else {
                self.shares.remove(&oldest);
            }
        }
        self.shares.len() < capacity
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limit::share::{Credit, Grant, Terms};

    #[test]
    fn whoever_has_spent_something_keeps_its_place_until_it_has_come_back() {
        let shares = Shares::new(64);
        let quota = Quota::new(10, 20).unwrap();
        let at = Duration::from_secs(1000);
        let full = |now| (0..1000_u32).filter(|key| shares.get(*key, quota, now).is_some()).count();
        for key in 0..1000_u32 {
            let Some(share) = shares.get(key, quota, at) else { continue };
            let terms = Terms { quota, nodes: 2, credit: Credit::Allowed };
            share.spend(terms, at);
            share.debit(terms, at);
            _ = share.settle(terms, Grant { granted: 0, left: 19, wait: Duration::ZERO }, at, at);
        }
        assert_eq!(full(at), 64, "those that were there");
        let later = at + Duration::from_secs(10);
        assert_eq!(full(later), 1000, "each in its turn");
    }
}
