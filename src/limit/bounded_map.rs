//! Bounded, sharded map from very many keys to their state.
//!
//! At capacity the map removes only keys whose quota is full again: such a key is like one that was
//! never seen.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

use ahash::RandomState;
use parking_lot::{Mutex, MutexGuard};

/// Number of shards. More let more threads work at once; each costs a little memory and rounds up
/// the capacity.
pub(super) const SHARDS: usize = 64;

/// Oldest keys that are examined to make room for one. More find a free place in a nearly full
/// shard more often; fewer bound the time that a new key costs.
const EVICTION_TRIES: usize = 8;

/// Bounded map. `X` is an extra value of each shard.
pub(super) struct BoundedMap<K, V, X = ()> {
    shards: Box<[Mutex<Shard<K, V, X>>]>,
    hasher: RandomState,
}

pub(super) struct Shard<K, V, X> {
    states: HashMap<K, V, RandomState>,
    /// The same keys in order of arrival. The next one to be examined for eviction is in front.
    order: VecDeque<K>,
    capacity: usize,
    pub(super) extra: X,
}

impl<K: Clone + Eq + Hash, V, X: Default> BoundedMap<K, V, X> {
    pub(super) fn new(capacity: usize) -> Self {
        // The maps grow as keys come. On a system with huge pages, memory reserved for all keys
        // would be resident at once: 45 MiB by default.
        let shard = || {
            let (states, order) = (HashMap::with_hasher(RandomState::new()), VecDeque::new());
            let capacity = capacity.div_ceil(SHARDS);
            Mutex::new(Shard { states, order, capacity, extra: X::default() })
        };
        Self {
            shards: std::iter::repeat_with(shard).take(SHARDS).collect(),
            hasher: RandomState::new(),
        }
    }
}

impl<K: Clone + Eq + Hash, V, X> BoundedMap<K, V, X> {
    /// Locks the shard of a key.
    pub(super) fn shard(&self, key: &K) -> MutexGuard<'_, Shard<K, V, X>> {
        // The shards' maps use other hash keys, so the choice of shard does not make their hashes
        // collide.
        let place = usize::try_from(self.hasher.hash_one(key) % SHARDS as u64);
        let shard = place.ok().and_then(|place| self.shards.get(place));
        shard.expect("a remainder is in range").lock()
    }
}

impl<K, V, X> BoundedMap<K, V, X> {
    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().states.len()).sum()
    }

    /// Applies a change to each key's state and to each shard's extra value.
    pub(super) fn for_each(
        &self,
        mut change: impl FnMut(&mut V),
        mut change_extra: impl FnMut(&mut X),
    ) {
        for shard in &self.shards {
            let mut shard = shard.lock();
            shard.states.values_mut().for_each(&mut change);
            change_extra(&mut shard.extra);
        }
    }
}

impl<K: Clone + Eq + Hash, V, X> Shard<K, V, X> {
    pub(super) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.states.get_mut(key)
    }

    /// Returns whether there is room for one more key. Removes evictable keys among the
    /// oldest.
    pub(super) fn make_room(&mut self, is_evictable: impl Fn(&V) -> bool) -> bool {
        for _ in 0..EVICTION_TRIES {
            if self.states.len() < self.capacity {
                return true;
            }
            let Some(oldest) = self.order.pop_front() else { break };
            if self.states.get(&oldest).is_some_and(|state| !is_evictable(state)) {
                self.order.push_back(oldest);
            } else {
                self.states.remove(&oldest);
            }
        }
        self.states.len() < self.capacity
    }

    /// Adds a new key. Call [`Shard::make_room`] first.
    pub(super) fn insert(&mut self, key: K, state: V) {
        self.order.push_back(key.clone());
        self.states.insert(key, state);
    }
}
