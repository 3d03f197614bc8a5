//! Storage of responses in moka, within byte limits.
//!
//! There are two caches: one for version lists, one for 404s and 400s. moka decides what is evicted
//! and when memory is freed. Whether a stored response may be reused is decided at lookup, in
//! `freshness`. Callers order their writes: see `cache`.
//!
//! A full cache admits a new response only if it was requested more often recently than what it
//! would evict (TinyLFU, moka's default). Measured against LRU by `cargo bench --bench eviction`:
//! up to six points more hits under Zipf, and a scan evicts almost nothing that is in use. In
//! return, a new list may be fetched several times before it is kept.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ahash::RandomState;
use arc_swap::ArcSwap;
use moka::Expiry;
use moka::notification::RemovalCause;
use moka::sync;

use super::freshness::{Freshness, FreshnessSettings};
use super::purge_epochs::Generation;
use super::response::{Kind, StoredResponse};
use crate::file_id::FileId;

/// Share of the memory that 404s and 400s may take, as a divisor.
///
/// They have a cache of their own because a caller can request any number of ids that do not
/// exist: measured, 300,000 of them evicted every idle list from a cache that held both.
const NEGATIVE_SHARE: u64 = 32;

/// Bytes that one entry takes besides its key and its response: moka's nodes (hash table, access
/// order, expiry timer, popularity) and what an allocator adds to each piece. Measured by
/// `benches/load/run stored`: 646 bytes beside the body of a list of one version, of which 250 are
/// its key, its `StoredResponse` and its one element.
const NODE_BYTES: usize = 400;

/// Time that an entry stays in memory after it can no longer be used. Until then `Cache-Status`
/// tells a response that was too old (`fwd=stale`) from none (`fwd=uri-miss`).
pub(super) const LINGER: Duration = Duration::from_mins(1);

/// Most entries that a purge or a reload visits on its caller's thread, which answers requests too.
/// A thread of its own visits more.
pub(super) const INLINE_MAX: u64 = 10_000;

/// Stored response, and the data that decides whether it may be reused.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) response: Arc<StoredResponse>,
    /// Counts from `response.as_of`.
    ttl: Duration,
    pub(super) generation: Generation,
}

impl Entry {
    pub(super) fn new(
        response: &Arc<StoredResponse>,
        freshness: Freshness,
        generation: Generation,
    ) -> Self {
        Self { response: Arc::clone(response), ttl: freshness.ttl(), generation }
    }

    pub(super) fn freshness(&self) -> Freshness {
        Freshness::of(self.response.as_of, self.ttl)
    }
}

/// Key: the id's bytes. It is smaller than a `FileId`, which has room for the longest id.
type Key = Box<[u8]>;
type Store = sync::Cache<Key, Entry, RandomState>;

/// Store of version lists and negative answers, each kind within its byte limit.
pub(super) struct Capacity {
    lists: Store,
    negatives: Store,
    evictions: Arc<AtomicU64>,
    /// Whether a thread frees the memory that a purge of everything has left.
    freeing: Arc<AtomicBool>,
}

impl Capacity {
    /// Creates the store. `freshness` holds the settings in force, which decide how long an entry
    /// can be of use. `linger` is the time that it stays after that.
    pub(super) fn new(
        max_bytes: u64,
        hasher: &RandomState,
        freshness: &Arc<ArcSwap<FreshnessSettings>>,
        linger: Duration,
    ) -> Self {
        let evictions = Arc::<AtomicU64>::default();
        let store = |max_bytes| {
            let evictions = Arc::clone(&evictions);
            sync::Cache::builder()
                .max_capacity(max_bytes)
                .weigher(|key: &Key, entry: &Entry| {
                    u32::try_from(weight(key, &entry.response)).unwrap_or(u32::MAX)
                })
                .expire_after(EndOfUse { freshness: Arc::clone(freshness), linger })
                .eviction_listener(move |_key, _entry, cause| {
                    if cause == RemovalCause::Size {
                        evictions.fetch_add(1, Ordering::Relaxed);
                    }
                })
                .build_with_hasher(hasher.clone())
        };
        let negative_bytes = max_bytes / NEGATIVE_SHARE;
        let (lists, negatives) = (store(max_bytes - negative_bytes), store(negative_bytes));
        Self { lists, negatives, evictions, freeing: Arc::default() }
    }

    /// Returns the entry of `id`, and counts this as a use of it.
    pub(super) fn get(&self, id: &FileId) -> Option<Entry> {
        self.lists.get(id.as_bytes()).or_else(|| self.negatives.get(id.as_bytes()))
    }

    /// Returns whether an entry of this kind is stored for `id`. It does not count as a use.
    pub(super) fn holds(&self, kind: Kind, id: &FileId) -> bool {
        self.store(kind).contains_key(id.as_bytes())
    }

    /// Returns whether an entry is stored for `id`. It does not count as a use.
    pub(super) fn holds_any(&self, id: &FileId) -> bool {
        self.holds(Kind::List, id) || self.holds(Kind::NotFound, id)
    }

    /// Stores an entry in place of the last one of the same file. An entry that exceeds the limit
    /// by itself is not stored, but the last one is still removed.
    pub(super) fn insert(&self, id: &FileId, entry: Entry) {
        let (into, other) = match entry.response.kind {
            Kind::List => (&self.lists, &self.negatives),
            Kind::BadRequest | Kind::NotFound => (&self.negatives, &self.lists),
        };
        other.invalidate(id.as_bytes());
        if self.fits(id, &entry.response) {
            into.insert(id.as_bytes().into(), entry);
        } else {
            // moka would evict every other entry first.
            into.invalidate(id.as_bytes());
        }
    }

    /// Returns whether a response is within the limit by itself.
    pub(super) fn fits(&self, id: &FileId, response: &StoredResponse) -> bool {
        let bytes = weight(id.as_bytes(), response) as u64;
        self.store(response.kind).policy().max_capacity().is_none_or(|max| bytes <= max)
    }

    pub(super) fn remove(&self, id: &FileId) {
        self.lists.invalidate(id.as_bytes());
        self.negatives.invalidate(id.as_bytes());
    }

    /// Frees the memory of everything that is stored. A thread of its own does it if that is more
    /// than `INLINE_MAX` entries.
    pub(super) fn clear(&self) {
        let stores = [self.lists.clone(), self.negatives.clone()];
        for store in &stores {
            store.invalidate_all();
        }
        let entries: u64 = stores.iter().map(Store::entry_count).sum();
        if entries <= INLINE_MAX {
            stores.iter().for_each(Store::run_pending_tasks);
        } else if !self.freeing.swap(true, Ordering::AcqRel) {
            let freeing = Arc::clone(&self.freeing);
            let free = move || {
                stores.iter().for_each(free_all);
                freeing.store(false, Ordering::Release);
            };
            if std::thread::Builder::new().name("purge".to_owned()).spawn(free).is_err() {
                // Housekeeping then frees it, a little at a time.
                self.freeing.store(false, Ordering::Release);
            }
        }
    }

    /// Evicts until entries of this kind are within their limit.
    ///
    /// moka delays evictions for up to 384 inserts. For responses of megabytes that is a multiple
    /// of the limit. It also loses count of an entry's weight if the entry is removed between a
    /// write that changed it and the housekeeping after that. So writers call this before they
    /// release the lock of the file's shard.
    ///
    /// While a thread frees the memory of a purge, that thread keeps the limit, and this returns at
    /// once.
    pub(super) fn enforce_limit(&self, kind: Kind) {
        if !self.freeing.load(Ordering::Acquire) {
            self.store(kind).run_pending_tasks();
        }
    }

    /// Returns the approximate number of stored lists.
    pub(super) fn lists(&self) -> u64 {
        self.lists.entry_count()
    }

    /// Returns the ids of the stored lists.
    pub(super) fn list_ids(&self) -> impl Iterator<Item = FileId> {
        self.lists.iter().filter_map(|(key, _)| FileId::parse(str::from_utf8(&key).ok()?).ok())
    }

    /// Returns the number of stored responses, and their bytes. Removes expired ones first.
    pub(super) fn usage(&self) -> (u64, u64) {
        let stores = [&self.lists, &self.negatives];
        for store in stores {
            store.run_pending_tasks();
        }
        let entries = stores.iter().map(|store| store.entry_count()).sum();
        (entries, stores.iter().map(|store| store.weighted_size()).sum())
    }

    /// Returns the number of responses removed for lack of room. New ones that were not admitted
    /// count too.
    pub(super) fn evictions(&self) -> u64 {
        self.evictions.load(Ordering::Relaxed)
    }

    fn store(&self, kind: Kind) -> &Store {
        match kind {
            Kind::List => &self.lists,
            Kind::BadRequest | Kind::NotFound => &self.negatives,
        }
    }
}

/// Runs housekeeping until it removes nothing more: each run ends after 100 ms.
fn free_all(store: &Store) {
    let mut before = u64::MAX;
    while store.entry_count() < before {
        before = store.entry_count();
        store.run_pending_tasks();
    }
}

fn weight(key: &[u8], response: &StoredResponse) -> usize {
    key.len() + response.weight() + NODE_BYTES
}

/// Expiry of an entry's memory: after its ttl, the longest stale window and `linger`, counted from
/// the write. It only frees memory, so it may be later than the end of use.
struct EndOfUse {
    freshness: Arc<ArcSwap<FreshnessSettings>>,
    linger: Duration,
}

impl EndOfUse {
    fn of(&self, entry: &Entry) -> Duration {
        let windows = self.freshness.load().windows(entry.response.kind);
        entry.ttl + windows.longest() + self.linger
    }
}

impl Expiry<Key, Entry> for EndOfUse {
    fn expire_after_create(&self, _: &Key, entry: &Entry, _: Instant) -> Option<Duration> {
        Some(self.of(entry))
    }

    fn expire_after_update(
        &self,
        _: &Key,
        entry: &Entry,
        _: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(self.of(entry))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::cache::freshness::tests::SETTINGS;
    use crate::cache::purge_epochs::PurgeEpochs;

    /// moka frees by its own clock, which tests do not move.
    #[test]
    fn an_entry_is_freed_when_the_longest_window_after_its_ttl_is_over() {
        let freshness = Arc::new(ArcSwap::from_pointee(SETTINGS));
        let end = EndOfUse { freshness, linger: LINGER };
        for (kind, ttl, window) in [
            (Kind::List, SETTINGS.ttl, SETTINGS.stale_if_error),
            (Kind::NotFound, SETTINGS.not_found_ttl, Duration::ZERO),
        ] {
            let now = Duration::from_secs(100);
            let response = Arc::new(StoredResponse::new(kind, Bytes::from_static(b"[]"), now));
            let generation = PurgeEpochs::default().generation();
            let entry = Entry::new(&response, Freshness::of(now, ttl), generation);
            assert_eq!(end.of(&entry), ttl + window + LINGER, "{kind:?}");
        }
    }
}
