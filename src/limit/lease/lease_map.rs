//! Bounded map of quota leases for very many callers.
//!
//! At capacity only a lease whose quota is full again is evicted.

use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use super::quota_lease::QuotaLease;
use crate::limit::bounded_map::BoundedMap;
use crate::limit::quota::Quota;

/// Quota leases by caller, in a fixed amount of memory.
pub(super) struct LeaseMap<K>(BoundedMap<K, Arc<QuotaLease>>);

impl<K: Copy + Eq + Hash> LeaseMap<K> {
    pub(super) fn new(capacity: usize) -> Self {
        Self(BoundedMap::new(capacity))
    }

    /// Returns the lease of `key`, or a new one; `None` if the map is full.
    pub(super) fn get(&self, key: K, quota: Quota, now: Duration) -> Option<Arc<QuotaLease>> {
        let mut shard = self.0.shard(&key);
        if let Some(lease) = shard.get_mut(&key) {
            return Some(Arc::clone(lease));
        }
        shard.make_room(|lease| lease.is_idle(quota, now)).then(|| {
            let lease = Arc::<QuotaLease>::default();
            shard.insert(key, Arc::clone(&lease));
            lease
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limit::{Credit, LeaseGrant, LeaseTerms};

    #[test]
    fn a_lease_with_spent_cells_is_not_evicted_until_they_have_come_back() {
        let leases = LeaseMap::new(64);
        let quota = Quota::new(10, 20).unwrap();
        let at = Duration::from_secs(1000);
        let found =
            |now| (0..1000_u32).filter(|key| leases.get(*key, quota, now).is_some()).count();
        for key in 0..1000_u32 {
            let Some(lease) = leases.get(key, quota, at) else { continue };
            let terms = LeaseTerms { quota, nodes: 2, credit: Credit::Allowed };
            lease.spend(terms, at);
            lease.begin_request(terms, at);
            let grant = LeaseGrant { granted: 0, left: 19, wait: Duration::ZERO };
            _ = lease.apply_grant(terms, grant, at, at);
        }
        assert_eq!(found(at), 64, "the leases that were in the map");
        let later = at + Duration::from_secs(10);
        assert_eq!(found(later), 1000, "one after another");
    }
}
