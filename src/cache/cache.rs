//! The cache: stored responses, fills in progress, and the lock that orders their writes.
//!
//! # Why an invalidation is final
//!
//! One mutex per shard holds the fills in progress and the recent invalidations of its files.
//! A write of a file to moka, and the housekeeping after it, run under the mutex of the file's
//! shard. A lookup takes no mutex.
//!
//! - A hard `invalidate` locks, unregisters the fill, removes the stored response, unlocks. A soft
//!   one ends the ttl of both.
//! - `finish` locks, and stores only if its fill is still registered and no hard purge of everything
//!   came since it began; else it stores nothing.
//!
//! A response that was requested before a hard invalidation is either stored before it, and removed
//! by it, or not stored. A request that comes after it finds neither the response nor the fill. The
//! argument does not use the recent invalidations, which serve `cache.settle` and the operators' view
//! only. So the state that it needs is bounded by the fills in progress.
//!
//! The argument needs three properties of moka, read in the source of version 0.12.16:
//!
//! - Before `insert` returns, the entry is in the map that `get` reads
//!   (`sync/cache.rs:1487`, `sync/base_cache.rs:512`), and `invalidate` removes it from there
//!   before it returns (`sync/cache.rs:1601`). What they put off is bookkeeping: order of use,
//!   weights, timers.
//! - Housekeeping, on whichever thread and whenever, only removes entries from that map
//!   (`sync/base_cache.rs`: every use of `remove_entry_if_and` and of `cht_remove_if_and_retire`);
//!   no pending write carries an entry back into it. It takes no lock of this module, so it may
//!   run under one.
//! - An entry that housekeeping refuses is removed only while it is the one that was refused
//!   (`sync/base_cache.rs:1551`: the same entry, of the same generation).
//!
//! A hard purge of everything raises an epoch (`purge_epochs`): entries and fills of an older one do
//! not count from then on. `invalidate_all` afterwards only frees memory. A soft one raises another
//! epoch, which only ends the ttl.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use ahash::RandomState;
use arc_swap::ArcSwap;
use parking_lot::Mutex;

use super::capacity::{Capacity, Entry, INLINE_MAX, LINGER};
use super::freshness::{Freshness, FreshnessInputs, FreshnessSettings, Origin, Reuse};
use super::in_flight::{Finished, InFlight};
use super::invalidations::{Invalidation, PurgeMode, RecentInvalidations, Target};
use super::purge_epochs::PurgeEpochs;
use super::response::{Kind, StoredResponse};
use crate::file_id::FileId;

/// Number of locks. More let more fills of different files end at once.
const SHARDS: usize = 64;

/// Files whose last invalidation each shard remembers: about 2 MB for all shards.
const INVALIDATIONS_PER_SHARD: usize = 128;

/// Limits of the cache: memory, and how long responses may be reused.
#[derive(Clone, Copy, Debug)]
pub struct CacheSettings {
    /// Memory for stored responses, in bytes.
    pub max_bytes: u64,
    /// Age up to which a fill is joined. A fill can be older only if its process slept; then its
    /// response was requested too long ago.
    pub joinable_for: Duration,
    pub freshness: FreshnessSettings,
}

/// Result of a lookup.
#[derive(Clone, Debug)]
pub enum Lookup {
    Absent,
    Found { response: Arc<StoredResponse>, reuse: Reuse },
}

/// Result of registering a fill, for a request that missed.
pub(super) enum Registered<E> {
    /// A fill ended since the lookup that missed.
    Hit { response: Arc<StoredResponse>, ttl_left: Duration },
    /// No fill that may be joined was registered. This new one is.
    New(Arc<InFlight<E>>),
    /// A fill is in progress.
    InProgress(Arc<InFlight<E>>),
}

/// State of the files of one shard.
struct Shard<E> {
    fills: HashMap<FileId, Arc<InFlight<E>>, RandomState>,
    invalidations: RecentInvalidations,
}

impl<E> Shard<E> {
    /// Removes a fill. Returns false if it was no longer registered.
    fn unregister(&mut self, id: &FileId, fill: &Arc<InFlight<E>>) -> bool {
        let is_own = self.fills.get(id).is_some_and(|registered| Arc::ptr_eq(registered, fill));
        is_own && self.fills.remove(id).is_some()
    }
}

/// Cache of version lists and negative answers, by file. `E` is the error of a fill.
pub struct Cache<E> {
    capacity: Capacity,
    shards: Box<[Mutex<Shard<E>>]>,
    hasher: RandomState,
    epochs: PurgeEpochs,
    freshness: Arc<ArcSwap<FreshnessSettings>>,
    joinable_for: Duration,
}

impl<E: Clone> Cache<E> {
    pub fn new(settings: &CacheSettings) -> Arc<Self> {
        let hasher = RandomState::new();
        let freshness = Arc::new(ArcSwap::from_pointee(settings.freshness));
        let shard = || {
            let invalidations = RecentInvalidations::new(INVALIDATIONS_PER_SHARD);
            Mutex::new(Shard { fills: HashMap::default(), invalidations })
        };
        Arc::new(Self {
            capacity: Capacity::new(settings.max_bytes, &hasher, &freshness, LINGER),
            shards: std::iter::repeat_with(shard).take(SHARDS).collect(),
            hasher,
            epochs: PurgeEpochs::default(),
            freshness,
            joinable_for: settings.joinable_for,
        })
    }

    /// Changes how long responses may be reused. A stored response keeps its ttl; the stale windows
    /// after it are the new ones.
    pub fn set_freshness(self: &Arc<Self>, settings: FreshnessSettings)
    where
        E: Send + Sync + 'static,
    {
        let last = self.freshness.swap(Arc::new(settings));
        if settings.windows(Kind::List).longest() <= last.windows(Kind::List).longest() {
            return;
        }
        let cache = Arc::clone(self);
        let rewrite = move || cache.rewrite_lists();
        if self.capacity.lists() <= INLINE_MAX {
            rewrite();
        } else if let Err(error) =
            std::thread::Builder::new().name("windows".to_owned()).spawn(rewrite)
        {
            tracing::warn!(
                %error,
                "cannot start the thread that extends stored lists: they are freed at the end of \
                 their former stale window"
            );
        }
    }

    /// Writes each list again, or moka would free it at the end of the window that was in force
    /// when it was written.
    fn rewrite_lists(&self) {
        for id in self.capacity.list_ids() {
            let _shard = self.shard(&id).lock();
            if let Some(entry) = self.capacity.get(&id) {
                self.capacity.insert(&id, entry);
            }
        }
    }

    pub fn freshness(&self) -> FreshnessSettings {
        **self.freshness.load()
    }

    /// Returns what is stored for `id`, and how it may be reused at `now`.
    pub fn lookup(&self, id: &FileId, now: Duration) -> Lookup {
        let entry = self.capacity.get(id);
        let Some(entry) = entry.filter(|entry| self.epochs.is_current(entry.generation)) else {
            return Lookup::Absent;
        };
        let windows = self.freshness.load().windows(entry.response.kind);
        let reuse = self.freshness_of(&entry).reuse(windows, now);
        Lookup::Found { response: entry.response, reuse }
    }

    /// Returns the fill of `id` that is in progress, or registers a new one.
    pub(super) fn register_fill(&self, id: &FileId, now: Duration) -> Registered<E> {
        let mut shard = self.shard(id).lock();
        if let Some(fill) = shard.fills.get(id)
            && self.epochs.is_current(fill.generation)
            && now <= fill.began + self.joinable_for
        {
            return Registered::InProgress(Arc::clone(fill));
        }
        // The lookup that missed counted as a use already.
        if self.capacity.holds_any(id)
            && let Lookup::Found { response, reuse: Reuse::Fresh { ttl_left } } =
                self.lookup(id, now)
        {
            return Registered::Hit { response, ttl_left };
        }
        let fill = InFlight::new(self.epochs.generation(), now);
        shard.fills.insert(*id, Arc::clone(&fill));
        Registered::New(fill)
    }

    /// Makes what is stored and in progress for `target` unusable. It is final when this returns:
    /// see the module.
    pub fn invalidate(
        &self,
        target: &Target,
        mode: PurgeMode,
        source: &'static str,
        now: Duration,
    ) {
        let invalidation = Invalidation { at: now, mode, source };
        let id = match target {
            Target::File(id) => id,
            Target::All => {
                self.epochs.purge(invalidation);
                if mode == PurgeMode::Hard {
                    self.capacity.clear();
                }
                return;
            }
        };
        let mut shard = self.shard(id).lock();
        shard.invalidations.record(id, invalidation);
        match mode {
            PurgeMode::Hard => {
                shard.fills.remove(id);
                self.capacity.remove(id);
            }
            PurgeMode::Soft => {
                if let Some(fill) = shard.fills.get(id) {
                    fill.expire(now);
                }
                if let Some(entry) = self.capacity.get(id) {
                    let freshness = self.freshness_of(&entry).ended(now);
                    let entry = Entry::new(&entry.response, freshness, entry.generation);
                    self.capacity.insert(id, entry);
                }
            }
        }
    }

    /// Stores `better` in place of the same response, if that one is still stored and `better` is
    /// within the limit.
    pub fn replace_encoded(
        &self,
        id: &FileId,
        response: &Arc<StoredResponse>,
        better: StoredResponse,
    ) {
        if !self.capacity.fits(id, &better) {
            return;
        }
        let _shard = self.shard(id).lock();
        let entry = self.capacity.get(id);
        if let Some(entry) = entry.filter(|entry| Arc::ptr_eq(&entry.response, response)) {
            let better = Entry::new(&Arc::new(better), entry.freshness(), entry.generation);
            self.capacity.insert(id, better);
            self.capacity.enforce_limit(response.kind);
        }
    }

    /// Returns the number of requests that wait for the current fill of `id`; `None` without one.
    pub fn waiting(&self, id: &FileId) -> Option<usize> {
        self.shard(id).lock().fills.get(id).map(|fill| fill.waiting())
    }

    pub fn fills_in_progress(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().fills.len()).sum()
    }

    /// Returns the last invalidation that concerned `id`, as far as it is remembered.
    pub fn last_invalidation(&self, id: &FileId) -> Option<Invalidation> {
        let own = self.shard(id).lock().invalidations.last(id);
        [own, self.epochs.last()].into_iter().flatten().max_by_key(|last| last.at)
    }

    /// Returns the number of stored responses, and their bytes.
    pub fn usage(&self) -> (u64, u64) {
        self.capacity.usage()
    }

    /// Returns the number of responses removed for lack of room. New ones that were not admitted
    /// count too.
    pub fn evictions(&self) -> u64 {
        self.capacity.evictions()
    }

    /// Stores the response of a fill, if the fill is still current.
    pub(super) fn finish(
        &self,
        id: &FileId,
        fill: &Arc<InFlight<E>>,
        response: &Arc<StoredResponse>,
        origin: Origin,
    ) -> Finished {
        let (kind, generation) = (response.kind, fill.generation);
        let (entry, is_kept) = {
            let mut shard = self.shard(id).lock();
            if !shard.unregister(id, fill) || !self.epochs.is_current(generation) {
                return Finished::Superseded;
            }
            let inputs = FreshnessInputs {
                as_of: response.as_of,
                invalidated: shard.invalidations.latest(id),
                draw: fastrand::u16(..),
                origin,
            };
            let freshness = Freshness::new(&self.freshness.load(), kind, &inputs);
            let freshness = fill.expired_at().map_or(freshness, |at| freshness.ended(at));
            let entry = Entry::new(response, freshness, generation);
            self.capacity.insert(id, entry.clone());
            self.capacity.enforce_limit(kind);
            (entry, self.capacity.holds(kind, id))
        };
        // A purge of everything takes no lock: one that came since the check above has made the
        // entry too old, as its generation says.
        if !self.epochs.is_current(generation) {
            return Finished::Superseded;
        }
        let freshness = self.freshness_of(&entry);
        if is_kept { Finished::Kept { freshness } } else { Finished::NotAdmitted { freshness } }
    }

    /// Removes a fill. A fill that is no longer registered changes nothing.
    pub(super) fn unregister(&self, id: &FileId, fill: &Arc<InFlight<E>>) {
        self.shard(id).lock().unregister(id, fill);
    }

    /// Ends a fill whose response must not be stored. Removes the stored response that it replaces.
    pub(super) fn forget(&self, id: &FileId, fill: &Arc<InFlight<E>>) {
        let mut shard = self.shard(id).lock();
        if shard.unregister(id, fill) {
            self.capacity.remove(id);
        }
    }

    fn shard(&self, id: &FileId) -> &Mutex<Shard<E>> {
        let place = usize::try_from(self.hasher.hash_one(id) % SHARDS as u64);
        place.ok().and_then(|place| self.shards.get(place)).expect("a remainder is in range")
    }

    /// Returns the entry's freshness, ended by the first soft purge of everything that came after
    /// it.
    fn freshness_of(&self, entry: &Entry) -> Freshness {
        let expired = self.epochs.expired_at(entry.generation);
        expired.map_or(entry.freshness(), |at| entry.freshness().ended(at))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::cache::Join;
    use crate::cache::freshness::tests::SETTINGS;
    use crate::clock::Clock;

    const NOW: Duration = Duration::from_secs(100);

    /// A cache that frees an entry as soon as it is of no use.
    fn cache(freshness: FreshnessSettings) -> Arc<Cache<()>> {
        let joinable_for = Duration::from_secs(12);
        let cache = Cache::new(&CacheSettings { max_bytes: 1 << 20, joinable_for, freshness });
        let mut cache = Arc::into_inner(cache).unwrap();
        cache.capacity = Capacity::new(1 << 20, &cache.hasher, &cache.freshness, Duration::ZERO);
        Arc::new(cache)
    }

    fn id() -> FileId {
        FileId::parse("a").unwrap()
    }

    fn list() -> Arc<StoredResponse> {
        Arc::new(StoredResponse::new(Kind::List, Bytes::from_static(b"[]"), NOW))
    }

    /// A purge of everything takes no lock, so a fill may store its response right after it. Here
    /// that is written out: the entry is of the generation before the purge.
    #[test]
    fn an_entry_that_is_stored_across_a_purge_of_everything_is_not_found() {
        let cache = cache(SETTINGS);
        let before = cache.epochs.generation();
        cache.invalidate(&Target::All, PurgeMode::Hard, "test", NOW);
        let entry = Entry::new(&list(), Freshness::of(NOW, SETTINGS.ttl), before);
        cache.capacity.insert(&id(), entry);
        assert!(matches!(cache.lookup(&id(), NOW), Lookup::Absent));
        assert!(matches!(cache.join(&id(), NOW), Join::Leader(..)));
    }

    /// moka frees by its own clock, which no test moves: so the windows are very short before.
    #[test]
    fn longer_windows_keep_the_memory_of_what_is_stored_for_longer() {
        let short = Duration::from_millis(50);
        let windows = |window| FreshnessSettings {
            ttl: short,
            stale_while_revalidate: window,
            stale_if_error: window,
            ..SETTINGS
        };
        let cache = cache(windows(Duration::ZERO));
        let Join::Leader(fill, _) = cache.join(&id(), NOW) else { panic!("it is not stored") };
        assert!(fill.finish(list(), Origin::Upstream).is_kept());
        cache.set_freshness(windows(Duration::from_hours(1)));
        let (clock, beyond) = (Clock::system(), 2 * short);
        let until = clock.monotonic() + beyond;
        while clock.monotonic() < until {
            std::thread::yield_now();
        }
        assert_eq!(cache.usage().0, 1);
        let found = cache.lookup(&id(), NOW + short);
        assert!(matches!(found, Lookup::Found { reuse: Reuse::StaleWhileRevalidate { .. }, .. }));
    }

    #[test]
    fn a_fill_that_is_lost_is_joined_by_no_request() {
        let cache = cache(SETTINGS);
        drop(cache.join(&id(), NOW));
        assert_eq!(cache.fills_in_progress(), 0);
        assert!(matches!(cache.join(&id(), NOW), Join::Leader(..)));
    }
}
