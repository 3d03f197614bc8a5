//! Bounded map of quota leases for very many callers.
//!
//! At capacity only a lease whose quota is full again is evicted.

use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use super::bounded::BoundedMap;
use super::quota::Quota;
use super::share::Share;

/// Quota leases by caller, in a fixed amount of memory.
pub(super) struct Shares<K>(BoundedMap<K, Arc<Share>>);

impl<K: Copy + Eq + Hash> Shares<K> {
    pub(super) fn new(capacity: usize) -> Self {
        Self(BoundedMap::new(capacity))
    }

    /// Returns the lease of `key`, or a new one; `None` if the map is full.
    pub(super) fn get(&self, key: K, quota: Quota, now: Duration) -> Option<Arc<Share>> {
        let mut shard = self.0.shard(&key);
        if let Some(share) = shard.get_mut(&key) {
            return Some(Arc::clone(share));
        }
        shard.make_room(|share| share.is_idle(quota, now)).then(|| {
            let new = Arc::<Share>::default();
            shard.insert(key, Arc::clone(&new));
            new
        })
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
