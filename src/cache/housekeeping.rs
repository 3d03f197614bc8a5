//! What keeps the cache within its bound, and rids it of what is of no use.

use std::sync::atomic::Ordering;
use std::time::Duration;

use parking_lot::RwLock;

use super::bound::Bound;
use super::entry::Kind;
use super::freshness::Reuse;
use super::shelf::{Entry, Step};
use super::store::{Cache, SHARDS, Shard};

/// How many used entries one insert passes over before it evicts whatever comes next, so that an
/// insert ends soon whatever was used.
const SPARED_MAX: usize = 64;

/// How many entries are freed on the spot. More take milliseconds, a million a good part of a
/// second, and whoever asked for the purge is a thread that answers others.
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

    /// Removes what no lookup will use any more. Takes some tens of milliseconds for a million
    /// entries, and each lock for its shard's part of that.
    pub fn sweep(&self, now: Duration) {
        let freshness = self.freshness.load();
        let is_over = |entry: &Entry| {
            let windows = freshness.windows(entry.response.kind);
            self.freshness_of(entry).reuse(windows, now) == Reuse::Expired
        };
        for shard in &self.shards {
            let mut shard = shard.write();
            shard.lists.remove_where(is_over);
            shard.negatives.remove_where(is_over);
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
            spared += usize::from(step == Step::Spared);
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
