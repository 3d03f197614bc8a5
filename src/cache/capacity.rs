//! Storage of responses in moka, within byte limits.
//!
//! Two caches: one for version lists, one for 404s and 400s. moka decides what is evicted and when
//! memory is freed; whether a stored response may be reused is decided at lookup, in `freshness`.
//! Callers order their writes: see `cache`.
//!
//! A full cache admits a newcomer only if it has been requested more often of late than what it
//! would evict (TinyLFU, moka's default). Measured against LRU, `cargo bench --bench eviction`: up
//! to six points more hits under Zipf, and a scan evicts next to nothing that is in use; a new list
//! is fetched a few times more before it is kept.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
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
/// order, expiry timer) and what an allocator adds to each piece.
const NODE_BYTES: usize = 330;

/// How long an entry stays after it is of no use: until then `Cache-Status` tells a response that
/// was too old (`fwd=stale`) from none (`fwd=uri-miss`).
pub(super) const LINGER: Duration = Duration::from_mins(1);

/// One stored response, and what decides whether it may be reused.
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

/// The id's bytes: smaller than a `FileId`, which has room for the longest one.
type Key = Box<[u8]>;
type Store = sync::Cache<Key, Entry, RandomState>;

/// Version lists and negative answers, each kind within its byte limit.
pub(super) struct Capacity {
    lists: Store,
    negatives: Store,
    evictions: Arc<AtomicU64>,
}

impl Capacity {
    /// `freshness`: the settings in force, which decide how long an entry can be of use. `linger`:
    /// how long it stays after that.
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
        Self { lists, negatives, evictions }
    }

    /// Returns the entry of `id`, and counts that as a use of it.
    pub(super) fn get(&self, id: &FileId) -> Option<Entry> {
        self.lists.get(id.as_bytes()).or_else(|| self.negatives.get(id.as_bytes()))
    }

    /// Whether an entry of this kind is stored for `id`; counts as no use.
    pub(super) fn holds(&self, kind: Kind, id: &FileId) -> bool {
        self.store(kind).contains_key(id.as_bytes())
    }

    /// Whether an entry is stored for `id`; counts as no use.
    pub(super) fn holds_any(&self, id: &FileId) -> bool {
        self.holds(Kind::List, id) || self.holds(Kind::NotFound, id)
    }

    /// Stores an entry in the place of the last one of the same file. One that exceeds the limit
    /// by itself is not stored; the last one is removed all the same.
    pub(super) fn insert(&self, id: &FileId, entry: Entry) {
        let (into, other) = match entry.response.kind {
            Kind::List => (&self.lists, &self.negatives),
            Kind::BadRequest | Kind::NotFound => (&self.negatives, &self.lists),
        };
        other.invalidate(id.as_bytes());
        let bytes = weight(id.as_bytes(), &entry.response) as u64;
        // moka would evict every other entry first.
        if into.policy().max_capacity().is_some_and(|max| bytes > max) {
            into.invalidate(id.as_bytes());
        } else {
            into.insert(id.as_bytes().into(), entry);
        }
    }

    pub(super) fn remove(&self, id: &FileId) {
        self.lists.invalidate(id.as_bytes());
        self.negatives.invalidate(id.as_bytes());
    }

    /// Frees the memory of everything that is stored, with moka's next housekeeping.
    pub(super) fn clear(&self) {
        self.lists.invalidate_all();
        self.negatives.invalidate_all();
    }

    /// Evicts until entries of this kind are within their limit.
    ///
    /// moka puts evictions off for up to 384 inserts. Of responses of megabytes that is a multiple
    /// of what may be stored.
    pub(super) fn enforce_limit(&self, kind: Kind) {
        self.store(kind).run_pending_tasks();
    }

    /// Ids of the stored lists.
    pub(super) fn list_ids(&self) -> impl Iterator<Item = FileId> {
        self.lists.iter().filter_map(|(key, _)| FileId::parse(str::from_utf8(&key).ok()?).ok())
    }

    /// How many responses are stored, and their bytes. Removes first what can be of no use.
    pub(super) fn usage(&self) -> (u64, u64) {
        let stores = [&self.lists, &self.negatives];
        for store in stores {
            store.run_pending_tasks();
        }
        let entries = stores.iter().map(|store| store.entry_count()).sum();
        (entries, stores.iter().map(|store| store.weighted_size()).sum())
    }

    /// Responses removed for lack of room, those included that were new and not admitted.
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

fn weight(key: &[u8], response: &StoredResponse) -> usize {
    key.len() + response.weight() + NODE_BYTES
}

/// When an entry's memory is freed: after its ttl, the longest stale window and `linger`, counted from
/// the write. It only frees memory, so it may be later than the end of use.
struct EndOfUse {
    freshness: Arc<ArcSwap<FreshnessSettings>>,
    linger: Duration,
}

impl EndOfUse {
    fn of(&self, entry: &Entry) -> Option<Duration> {
        let windows = self.freshness.load().windows(entry.response.kind);
        Some(entry.ttl + windows.longest() + self.linger)
    }
}

impl Expiry<Key, Entry> for EndOfUse {
    fn expire_after_create(&self, _: &Key, entry: &Entry, _: Instant) -> Option<Duration> {
        self.of(entry)
    }

    fn expire_after_update(
        &self,
        _: &Key,
        entry: &Entry,
        _: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        self.of(entry)
    }
}
