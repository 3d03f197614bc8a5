//! Where stored responses stand: moka, for capacity and nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ahash::RandomState;
use moka::Expiry;

use super::entry::StoredResponse;
use super::freshness::Freshness;
use super::purges::Generation;
use crate::file_id::FileId;

/// What one entry costs besides what its response weighs: the key twice, the entry, and moka's
/// nodes of both queues and the table, as allocated.
const ENTRY_BYTES: usize = 512;

/// One stored response, and what decides whether it may be used.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) response: Arc<StoredResponse>,
    pub(super) freshness: Freshness,
    pub(super) generation: Generation,
    /// How long it may be of use, from its insert on.
    pub(super) life: Duration,
}

/// A bounded map from file to entry.
pub(super) type Shelf = moka::sync::Cache<FileId, Entry, RandomState>;

/// Lets entries go at the end of their life. By moka's own clock, so it only ever removes what no
/// lookup would use any more.
struct EndOfLife;

impl Expiry<FileId, Entry> for EndOfLife {
    fn expire_after_create(&self, _: &FileId, entry: &Entry, _: Instant) -> Option<Duration> {
        Some(entry.life)
    }

    fn expire_after_update(
        &self,
        _: &FileId,
        entry: &Entry,
        _: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(entry.life)
    }
}

/// A shelf of so many bytes.
pub(super) fn shelf(max_bytes: u64, evictions: &Arc<AtomicU64>) -> Shelf {
    let evictions = Arc::clone(evictions);
    moka::sync::Cache::builder()
        .max_capacity(max_bytes)
        .weigher(|_, entry: &Entry| {
            u32::try_from(entry.response.weight() + ENTRY_BYTES).unwrap_or(u32::MAX)
        })
        .expire_after(EndOfLife)
        .eviction_listener(move |_, _, cause| {
            if cause == moka::notification::RemovalCause::Size {
                evictions.fetch_add(1, Ordering::Relaxed);
            }
        })
        .build_with_hasher(RandomState::new())
}
