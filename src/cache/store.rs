//! The cache itself: stored responses, fills in progress, and the lock that orders both.
//!
//! **An invalidation is final.** Fills in progress are listed per file. Under the file's shard
//! lock, an invalidation takes the fill off the list and removes the stored response; a fill
//! that comes back stores only while its place on the list is still its own. So what was asked
//! for before an invalidation is never stored after it, and whoever comes after it starts a fill
//! of their own. Nothing has to be remembered about the past: the state is bounded by the fills
//! in progress.
//!
//! A purge of everything raises an epoch instead of visiting every shard: responses and fills
//! of an older one do not count when they are looked up.
//!
//! moka bounds the memory and knows nothing of freshness, which is decided at lookup.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ahash::RandomState;
use parking_lot::{Mutex, RwLock};

use super::entry::{Kind, StoredResponse};
use super::fill::{Fill, Flight, Waiter};
use super::freshness::{Freshness, FreshnessSettings, Reuse};
use crate::file_id::FileId;

/// More shards let more fills of different files start at once; each is a mutex and a small map.
const SHARDS: usize = 64;

/// What one stored response costs besides its body: key, tag, and moka's bookkeeping.
const ENTRY_OVERHEAD_BYTES: usize = 512;

/// The share of the memory that 404s and 400s may take, as a divisor.
///
/// They are kept apart because asking for ids that do not exist is free for a caller: measured,
/// a flood of them evicted every idle list from a cache that held both.
const NEGATIVE_SHARE: u64 = 32;

/// How many soft purges of everything are told apart. Beyond it the oldest two are taken for
/// one, the earlier.
const SOFT_PURGES_MAX: usize = 64;

/// What is kept, and for how long it is fresh.
#[derive(Clone, Copy, Debug)]
pub struct CacheSettings {
    /// Memory for stored responses, in bytes.
    pub max_bytes: u64,
    pub freshness: FreshnessSettings,
}

/// What an invalidation is of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Target {
    All,
    File(FileId),
}

/// What an invalidation does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Force {
    /// What is stored is gone, and what is on its way will not be stored.
    Hard,
    /// What is stored is no longer fresh, as if its ttl had run out now.
    Soft,
}

/// What a lookup finds.
#[derive(Clone, Debug)]
pub enum Lookup {
    Absent,
    Fresh { response: Arc<StoredResponse>, ttl_left: Duration },
    Stale { response: Arc<StoredResponse> },
}

/// Where somebody who missed takes their place.
pub enum Seat<E: Clone> {
    /// A fill had ended in the meantime: answer with what it left.
    Answered {
        response: Arc<StoredResponse>,
        ttl_left: Duration,
    },
    /// Nobody was filling: redeem the ticket in a task of its own, and wait like the others.
    Leader(Fill<E>, Waiter<E>),
    Follower(Waiter<E>),
}

/// Which purges of everything a response or a fill is younger than.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Generation {
    hard: u64,
    soft: u64,
}

#[derive(Clone)]
struct Entry {
    response: Arc<StoredResponse>,
    freshness: Freshness,
    generation: Generation,
}

type Stored = moka::sync::Cache<FileId, Entry, RandomState>;
type Flights<E> = HashMap<FileId, Arc<Flight<E>>, RandomState>;

/// Version lists and negative answers, by file. `E` is how a fill can fail.
pub struct Cache<E> {
    lists: Stored,
    negatives: Stored,
    shards: Vec<Mutex<Flights<E>>>,
    hasher: RandomState,
    hard_epoch: AtomicU64,
    soft_epoch: AtomicU64,
    /// When each soft purge of everything came, oldest first, with the epoch that it began.
    soft_purges: RwLock<Vec<(u64, Duration)>>,
    evictions: Arc<AtomicU64>,
    freshness: FreshnessSettings,
}

impl<E: Clone> Cache<E> {
    pub fn new(settings: &CacheSettings) -> Arc<Self> {
        let evictions = Arc::<AtomicU64>::default();
        let negative_bytes = settings.max_bytes / NEGATIVE_SHARE;
        let fresh = settings.freshness;
        Arc::new(Self {
            lists: stored(settings.max_bytes - negative_bytes, fresh.ttl, &evictions),
            negatives: stored(negative_bytes, fresh.not_found_ttl, &evictions),
            shards: std::iter::repeat_with(Mutex::default).take(SHARDS).collect(),
            hasher: RandomState::new(),
            hard_epoch: AtomicU64::new(0),
            soft_epoch: AtomicU64::new(0),
            soft_purges: RwLock::default(),
            evictions,
            freshness: fresh,
        })
    }

    /// What is stored for `id`, and whether it may be used at `now`.
    pub fn lookup(&self, id: &FileId, now: Duration) -> Lookup {
        let entry = self.lists.get(id).or_else(|| self.negatives.get(id));
        let Some(entry) = entry.filter(|entry| entry.generation.hard == self.hard_epoch()) else {
            return Lookup::Absent;
        };
        match self.freshness_of(&entry).reuse(now) {
            Reuse::Fresh { ttl_left } => Lookup::Fresh { response: entry.response, ttl_left },
            Reuse::Stale => Lookup::Stale { response: entry.response },
        }
    }

    /// Takes a place in the fill of `id`, starting one if there is none.
    pub fn join(self: &Arc<Self>, id: &FileId, now: Duration) -> Seat<E> {
        let mut flights = self.shard(id).lock();
        let generation = self.generation();
        if let Some(flight) = flights.get(id)
            && flight.generation.hard == generation.hard
        {
            return Seat::Follower(flight.waiter());
        }
        // The lookup that missed may be older than a fill that has just ended.
        if let Lookup::Fresh { response, ttl_left } = self.lookup(id, now) {
            return Seat::Answered { response, ttl_left };
        }
        let flight = Flight::new(generation);
        flights.insert(*id, Arc::clone(&flight));
        drop(flights);
        let waiter = flight.waiter();
        Seat::Leader(Fill::new(Arc::clone(self), *id, flight), waiter)
    }

    /// Makes what is known of `target` unusable. When this returns it is done: see the module.
    pub fn invalidate(&self, target: &Target, force: Force, now: Duration) {
        match (target, force) {
            (Target::File(id), Force::Hard) => {
                let mut flights = self.shard(id).lock();
                flights.remove(id);
                self.lists.invalidate(id);
                self.negatives.invalidate(id);
            }
            (Target::File(id), Force::Soft) => {
                let flights = self.shard(id).lock();
                if let Some(flight) = flights.get(id) {
                    flight.soften(now);
                }
                for stored in [&self.lists, &self.negatives] {
                    if let Some(entry) = stored.get(id) {
                        let freshness = self.freshness_of(&entry).ended(now);
                        stored.insert(*id, Entry { freshness, ..entry });
                    }
                }
            }
            (Target::All, Force::Hard) => {
                self.hard_epoch.fetch_add(1, Ordering::AcqRel);
                // Gives the memory back; that nothing is used any more is the epoch's doing.
                self.lists.invalidate_all();
                self.negatives.invalidate_all();
            }
            (Target::All, Force::Soft) => {
                let mut purges = self.soft_purges.write();
                let epoch = self.soft_epoch.load(Ordering::Acquire) + 1;
                purges.push((epoch, now));
                if purges.len() > SOFT_PURGES_MAX {
                    let (_, earlier) = purges.remove(0);
                    if let Some(oldest) = purges.first_mut() {
                        oldest.1 = earlier;
                    }
                }
                self.soft_epoch.store(epoch, Ordering::Release);
            }
        }
    }

    /// Ends a fill with a response to keep, if the fill is still current.
    pub(super) fn store(
        &self,
        id: &FileId,
        flight: &Arc<Flight<E>>,
        response: &Arc<StoredResponse>,
    ) -> bool {
        let mut flights = self.shard(id).lock();
        if !take_place(&mut flights, id, flight) || flight.generation.hard != self.hard_epoch() {
            return false;
        }
        let freshness = Freshness::new(&self.freshness, response.kind, response.received);
        let freshness = flight.softened().map_or(freshness, |at| freshness.ended(at));
        let (into, other) = match response.kind {
            Kind::List => (&self.lists, &self.negatives),
            Kind::BadRequest | Kind::NotFound => (&self.negatives, &self.lists),
        };
        // A purge of everything may come between the check above and here: the entry says which
        // ones it is younger than.
        let generation = flight.generation;
        into.insert(*id, Entry { response: Arc::clone(response), freshness, generation });
        other.invalidate(id);
        true
    }

    /// Ends a fill whose response must not be kept, nor what it replaces.
    pub(super) fn forget(&self, id: &FileId, flight: &Arc<Flight<E>>) {
        let mut flights = self.shard(id).lock();
        if take_place(&mut flights, id, flight) {
            self.lists.invalidate(id);
            self.negatives.invalidate(id);
        }
    }

    /// Takes a fill off the list, if its place is still its own.
    pub(super) fn leave(&self, id: &FileId, flight: &Arc<Flight<E>>) {
        take_place(&mut self.shard(id).lock(), id, flight);
    }

    /// How many wait for the current fill of `id`; `None` if there is none.
    pub fn waiting(&self, id: &FileId) -> Option<usize> {
        self.shard(id).lock().get(id).map(|flight| flight.waiting())
    }

    /// How many responses are stored, and what they count in bytes. Brings moka's own
    /// housekeeping up to date first.
    pub fn usage(&self) -> (u64, u64) {
        self.lists.run_pending_tasks();
        self.negatives.run_pending_tasks();
        let entries = self.lists.entry_count() + self.negatives.entry_count();
        (entries, self.lists.weighted_size() + self.negatives.weighted_size())
    }

    /// Responses that were dropped to make room.
    pub fn evictions(&self) -> u64 {
        self.evictions.load(Ordering::Relaxed)
    }

    pub fn fills_in_progress(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().len()).sum()
    }

    fn shard(&self, id: &FileId) -> &Mutex<Flights<E>> {
        let place = usize::try_from(self.hasher.hash_one(id) % SHARDS as u64);
        place.ok().and_then(|place| self.shards.get(place)).expect("a remainder is in range")
    }

    fn hard_epoch(&self) -> u64 {
        self.hard_epoch.load(Ordering::Acquire)
    }

    fn generation(&self) -> Generation {
        Generation { hard: self.hard_epoch(), soft: self.soft_epoch.load(Ordering::Acquire) }
    }

    /// The entry's own freshness, ended by the first soft purge of everything that it is not
    /// younger than.
    fn freshness_of(&self, entry: &Entry) -> Freshness {
        let own = entry.generation.soft;
        if own == self.soft_epoch.load(Ordering::Acquire) {
            return entry.freshness;
        }
        let purges = self.soft_purges.read();
        let first = purges.iter().find(|(epoch, _)| *epoch > own);
        first.map_or(entry.freshness, |(_, at)| entry.freshness.ended(*at))
    }
}

fn take_place<E>(flights: &mut Flights<E>, id: &FileId, flight: &Arc<Flight<E>>) -> bool {
    let own = flights.get(id).is_some_and(|listed| Arc::ptr_eq(listed, flight));
    own && flights.remove(id).is_some()
}

fn stored(max_bytes: u64, storage_life: Duration, evictions: &Arc<AtomicU64>) -> Stored {
    let evictions = Arc::clone(evictions);
    moka::sync::Cache::builder()
        .max_capacity(max_bytes)
        .weigher(|_, entry: &Entry| {
            u32::try_from(entry.response.body.len() + ENTRY_OVERHEAD_BYTES).unwrap_or(u32::MAX)
        })
        // Counts from the insert and by moka's clock, so it only ever removes what no lookup
        // would use any more.
        .time_to_live(storage_life)
        .eviction_listener(move |_, _, cause| {
            if cause == moka::notification::RemovalCause::Size {
                evictions.fetch_add(1, Ordering::Relaxed);
            }
        })
        .build_with_hasher(RandomState::new())
}
