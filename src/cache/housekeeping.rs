//! What keeps the cache within its bound, and rids it of what is of no use.

use std::sync::atomic::Ordering;
use std::time::Duration;

use parking_lot::{RwLock, RwLockUpgradableReadGuard};

use super::bound::Bound;
use super::entry::Kind;
use super::freshness::Reuse;
use super::shard::Shard;
use super::shelf::{Entry, Step};
use super::store::{Cache, SHARDS};

/// How many used entries are passed over before the next one is evicted, used or not: an insert
/// ends soon, whatever was used.
const SPARED_MAX: usize = 64;

/// How many entries are freed on the spot: whoever asked for the purge is a thread that answers
/// others, and must not be kept by a million of them.
const DROPPED_HERE_MAX: u64 = 10_000;

impl<E: Clone> Cache<E> {
    /// How many responses are stored, and what they weigh in bytes.
    pub fn usage(&self) -> (u64, u64) {
        let bounds = [&self.lists, &self.negatives];
        let entries = bounds.iter().map(|bound| bound.entries()).sum();
        (entries, bounds.iter().map(|bound| bound.bytes()).sum())
    }

    /// Responses that were dropped to make room.
    pub fn evictions(&self) -> u64 {
        self.lists.evictions() + self.negatives.evictions()
    }

    /// Removes what no lookup will use any more. Looks at every entry, so not for a thread that
    /// answers; readers wait for what is removed, and not for what is looked at.
    pub fn sweep(&self, now: Duration) {
        let freshness = self.freshness.load();
        let is_over = |entry: &Entry| {
            let windows = freshness.windows(entry.response.kind);
            self.freshness_of(entry).reuse(windows, now) == Reuse::Expired
        };
        for shard in &self.shards {
            let shard = shard.upgradable_read();
            let lists = shard.lists.places_where(is_over);
            let negatives = shard.negatives.places_where(is_over);
            if lists.is_empty() && negatives.is_empty() {
                continue;
            }
            let mut shard = RwLockUpgradableReadGuard::upgrade(shard);
            let removed = [shard.lists.vacate_all(&lists), shard.negatives.vacate_all(&negatives)];
            // Their memory is given back without the lock.
            drop(shard);
            drop(removed);
        }
    }

    pub(super) fn bound(&self, kind: Kind) -> &Bound {
        match kind {
            Kind::List => &self.lists,
            Kind::BadRequest | Kind::NotFound => &self.negatives,
        }
    }

    /// Evicts until there is room for so many bytes more: shard by shard in turn, one lock at a
    /// time, since the bound is of all of them, and so is the order of leaving.
    ///
    /// Fills that end at the same instant may exceed the bound by one response each, until the
    /// next one ends.
    pub(super) fn make_room(&self, kind: Kind, bytes: u64) {
        let bound = self.bound(kind);
        let mut spared = 0;
        while bound.exceeds_with(bytes) {
            let turn = self.turn.fetch_add(1, Ordering::Relaxed) % SHARDS;
            let shard = self.shards.get(turn).expect("a remainder is in range");
            let step = shard.write().shelf(kind).evict(bound.next_line(), spared >= SPARED_MAX);
            spared = match step {
                Step::Empty => spared,
                Step::Evicted => 0,
                Step::Spared => spared + 1,
            };
        }
    }

    /// Drops everything that is stored.
    pub(super) fn empty(&self) {
        let (entries, _) = self.usage();
        let empty = |shard: &RwLock<Shard<E>>| {
            let mut shard = shard.write();
            (shard.lists.take(), shard.negatives.take())
        };
        let dropped: Vec<_> = self.shards.iter().map(empty).collect();
        if entries > DROPPED_HERE_MAX {
            // Without a thread they are dropped here after all.
            _ = std::thread::Builder::new().name("purge".to_owned()).spawn(move || drop(dropped));
        }
    }
}
