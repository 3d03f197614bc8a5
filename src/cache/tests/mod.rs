//! Tests of the cache by itself: capacity, expiry and finality.
//!
//! The promises of an invalidation are also tested over sockets (`tests/it/model`,
//! `tests/it/race.rs`).

mod capacity;
mod finality;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::freshness::tests::SETTINGS;
use super::*;
use crate::file_id::FileId;

const NOW: Duration = Duration::from_secs(100);

fn cache(max_bytes: u64) -> Arc<Cache<()>> {
    with_freshness(max_bytes, SETTINGS)
}

fn with_freshness(max_bytes: u64, freshness: FreshnessSettings) -> Arc<Cache<()>> {
    let joinable_for = Duration::from_secs(12);
    Cache::new(&CacheSettings { max_bytes, joinable_for, freshness })
}

fn file(number: u64) -> FileId {
    FileId::parse(&format!("file{number}")).unwrap()
}

fn response(kind: Kind, length: usize, as_of: Duration) -> Arc<StoredResponse> {
    Arc::new(StoredResponse::new(kind, Bytes::from(vec![b' '; length]), as_of))
}

fn fill(cache: &Arc<Cache<()>>, number: u64, now: Duration) -> Fill<()> {
    match cache.join(&file(number), now) {
        Join::Leader(fill, _) => fill,
        Join::Hit { .. } | Join::Follower(_) => panic!("{number} is fresh or being fetched"),
    }
}

/// Makes a request that misses, and completes the fill that it starts.
fn store(cache: &Arc<Cache<()>>, number: u64, kind: Kind, length: usize) -> Finished {
    assert!(!is_stored(cache, number), "{number} is stored");
    fill(cache, number, NOW).finish(response(kind, length, NOW), Origin::Upstream)
}

/// Makes a request. Returns whether it hits.
fn is_stored(cache: &Cache<()>, number: u64) -> bool {
    matches!(cache.lookup(&file(number), NOW), Lookup::Found { .. })
}

fn stored(cache: &Cache<()>, numbers: std::ops::Range<u64>) -> usize {
    numbers.filter(|number| is_stored(cache, *number)).count()
}
