//! Keyed permits: a limit of how many permits one key may hold at once.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use ahash::RandomState;
use parking_lot::Mutex;

/// Permits by key. A key that holds none takes no memory.
#[derive(Debug)]
pub struct KeyedPermits<K: Eq + Hash>(Arc<PermitCounts<K>>);

#[derive(Debug)]
struct PermitCounts<K> {
    by_key: Mutex<HashMap<K, usize, RandomState>>,
    max_per_key: usize,
}

/// Permit of one key. Dropping it returns it.
#[derive(Debug)]
pub struct KeyedPermit<K: Eq + Hash> {
    counts: Arc<PermitCounts<K>>,
    key: K,
}

impl<K: Copy + Eq + Hash> KeyedPermits<K> {
    pub fn new(max_per_key: usize) -> Self {
        Self(Arc::new(PermitCounts { by_key: Mutex::default(), max_per_key }))
    }

    /// Takes a permit; `None` if the key holds as many as it may.
    pub fn try_take(&self, key: K) -> Option<KeyedPermit<K>> {
        let mut by_key = self.0.by_key.lock();
        let count = by_key.get(&key).copied().unwrap_or_default();
        if count >= self.0.max_per_key {
            return None;
        }
        by_key.insert(key, count + 1);
        Some(KeyedPermit { counts: Arc::clone(&self.0), key })
    }

    /// Returns the number of keys that hold a permit.
    #[cfg(test)]
    pub(crate) fn keys(&self) -> usize {
        self.0.by_key.lock().len()
    }
}

impl<K: Eq + Hash> Drop for KeyedPermit<K> {
    fn drop(&mut self) {
        let mut by_key = self.counts.by_key.lock();
        if let Some(count) = by_key.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                by_key.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_at_most_its_permits_and_all_are_returned() {
        let permits = KeyedPermits::new(2);
        let take = |key, count: usize| -> Vec<_> {
            (0..count).filter_map(|_| permits.try_take(key)).collect()
        };
        let (mut first, second) = (take("a", 10), take("b", 1));
        assert_eq!((first.len(), second.len(), permits.keys()), (2, 1, 2));
        first.pop();
        assert!(permits.try_take("a").is_some());
        drop((first, second));
        assert_eq!(permits.keys(), 0);
    }

    #[test]
    fn a_limit_of_zero_stores_no_key() {
        let permits = KeyedPermits::new(0);
        assert!(permits.try_take("a").is_none());
        assert_eq!(permits.keys(), 0);
    }
}
