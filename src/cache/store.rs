//! The cache itself: stored responses, fills in progress, and the lock that orders both.
//!
//! **An invalidation is final.** Fills in progress are listed per file. Under the file's shard
//! lock, an invalidation takes the fill off the list and removes the stored response; a fill
//! that comes back stores only while its place on the list is still its own. So what was asked
//! for before an invalidation is never stored after it, and whoever comes after it starts a fill
//! of their own. What is remembered of the past only bears on how long a response is fresh: the
//! state is bounded by the fills in progress.
//!
//! A purge of everything raises an epoch instead of visiting every shard (`purges`):
//! responses and fills of an older one do not count when they are looked up.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ahash::RandomState;
use arc_swap::ArcSwap;
use parking_lot::Mutex;

use super::entry::{Kind, StoredResponse};
use super::fill::{Fill, Flight, Waiter};
use super::freshness::{Circumstances, Freshness, FreshnessSettings, Reuse};
use super::purges::Purges;
use super::recent::{Invalidated, Recent};
use super::shelf::{Entry, Shelf, shelf};
use crate::file_id::FileId;

/// More shards let more fills of different files start at once; each is a mutex and small maps.
const SHARDS: usize = 64;

/// How many files' last invalidations each shard remembers: a megabyte for all.
const RECENT_PER_SHARD: usize = 128;

/// The share of the memory that 404s and 400s may take, as a divisor.
///
/// They are kept apart because asking for ids that do not exist is free for a caller: measured,
/// a flood of them evicted every idle list from a cache that held both.
const NEGATIVE_SHARE: u64 = 32;

/// What is kept, and for how long it may be used.
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
#[repr(u8)]
pub enum Force {
    /// What is stored is gone, and what is on its way will not be stored.
    Hard,
    /// What is stored is no longer fresh, as if its ttl had run out now.
    Soft,
}

impl Force {
    pub const ALL: [Self; 2] = [Self::Hard, Self::Soft];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hard => "hard",
            Self::Soft => "soft",
        }
    }
}

/// What a lookup finds.
#[derive(Clone, Debug)]
pub enum Lookup {
    Absent,
    Found { response: Arc<StoredResponse>, reuse: Reuse },
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

type Flights<E> = HashMap<FileId, Arc<Flight<E>>, RandomState>;

struct Shard<E> {
    flights: Flights<E>,
    recent: Recent,
}

/// Version lists and negative answers, by file. `E` is how a fill can fail.
pub struct Cache<E> {
    lists: Shelf,
    negatives: Shelf,
    shards: Vec<Mutex<Shard<E>>>,
    hasher: RandomState,
    purges: Purges,
    evictions: Arc<AtomicU64>,
    freshness: ArcSwap<FreshnessSettings>,
}

impl<E: Clone> Cache<E> {
    pub fn new(settings: &CacheSettings) -> Arc<Self> {
        let evictions = Arc::<AtomicU64>::default();
        let negative_bytes = settings.max_bytes / NEGATIVE_SHARE;
        let freshness = ArcSwap::from_pointee(settings.freshness);
        let shard = || {
            Mutex::new(Shard { flights: HashMap::default(), recent: Recent::new(RECENT_PER_SHARD) })
        };
        Arc::new(Self {
            lists: shelf(settings.max_bytes - negative_bytes, &evictions),
            negatives: shelf(negative_bytes, &evictions),
            shards: std::iter::repeat_with(shard).take(SHARDS).collect(),
            hasher: RandomState::new(),
            purges: Purges::default(),
            evictions,
            freshness,
        })
    }

    /// Changes how long responses may be used. What is stored keeps the ttl that it got; the
    /// windows after it are the new ones.
    pub fn set_freshness(&self, settings: FreshnessSettings) {
        let last = self.freshness.swap(Arc::new(settings));
        let life = settings.life(Kind::List);
        if life <= last.life(Kind::List) {
            return;
        }
        // Or what is stored would leave at the end of the life that it was stored with.
        for (id, _) in &self.lists {
            let _shard = self.shard(&id).lock();
            if let Some(entry) = self.lists.get(&*id) {
                self.lists.insert(*id, Entry { life, ..entry });
            }
        }
    }

    /// What is stored for `id`, and how it may be used at `now`.
    pub fn lookup(&self, id: &FileId, now: Duration) -> Lookup {
        let entry = self.lists.get(id).or_else(|| self.negatives.get(id));
        let Some(entry) = entry.filter(|entry| entry.generation.hard == self.purges.hard()) else {
            return Lookup::Absent;
        };
        let windows = self.freshness.load().windows(entry.response.kind);
        let reuse = self.freshness_of(&entry).reuse(windows, now);
        Lookup::Found { response: entry.response, reuse }
    }

    /// Takes a place in the fill of `id`, starting one if there is none.
    pub fn join(self: &Arc<Self>, id: &FileId, now: Duration) -> Seat<E> {
        let mut shard = self.shard(id).lock();
        if let Some(flight) = shard.flights.get(id)
            && flight.generation.hard == self.purges.hard()
        {
            return Seat::Follower(flight.waiter());
        }
        // The lookup that missed may be older than a fill that has just ended.
        if let Lookup::Found { response, reuse: Reuse::Fresh { ttl_left } } = self.lookup(id, now) {
            return Seat::Answered { response, ttl_left };
        }
        let flight = Flight::new(self.purges.generation(), now);
        shard.flights.insert(*id, Arc::clone(&flight));
        drop(shard);
        let waiter = flight.waiter();
        Seat::Leader(Fill::new(Arc::clone(self), *id, flight), waiter)
    }

    /// Makes what is known of `target` unusable. When this returns it is done: see the module.
    pub fn invalidate(&self, target: &Target, force: Force, source: &'static str, now: Duration) {
        let invalidated = Invalidated { at: now, force, source };
        let id = match target {
            Target::File(id) => id,
            Target::All => {
                self.purges.purge(invalidated);
                if force == Force::Hard {
                    // The memory comes back with the next housekeeping; that nothing is used any
                    // more is the epoch's doing.
                    self.lists.invalidate_all();
                    self.negatives.invalidate_all();
                }
                return;
            }
        };
        let mut shard = self.shard(id).lock();
        shard.recent.note(id, invalidated);
        match force {
            Force::Hard => {
                shard.flights.remove(id);
                self.lists.invalidate(id);
                self.negatives.invalidate(id);
            }
            Force::Soft => {
                if let Some(flight) = shard.flights.get(id) {
                    flight.soften(now);
                }
                for shelf in [&self.lists, &self.negatives] {
                    if let Some(entry) = shelf.get(id) {
                        let freshness = self.freshness_of(&entry).ended(now);
                        shelf.insert(*id, Entry { freshness, ..entry });
                    }
                }
            }
        }
    }

    /// Ends a fill with a response to keep, if the fill is still current.
    pub(super) fn store(
        &self,
        id: &FileId,
        flight: &Arc<Flight<E>>,
        response: &Arc<StoredResponse>,
    ) -> Option<Freshness> {
        let (into, other) = match response.kind {
            Kind::List => (&self.lists, &self.negatives),
            Kind::BadRequest | Kind::NotFound => (&self.negatives, &self.lists),
        };
        let entry = {
            let mut shard = self.shard(id).lock();
            let own = take_place(&mut shard.flights, id, flight);
            // A purge of everything may come between this check and the insert: the entry says
            // which ones it is younger than.
            let generation = flight.generation;
            if !own || generation.hard != self.purges.hard() {
                return None;
            }
            let circumstances = Circumstances {
                asked: flight.asked,
                received: response.received,
                invalidated: shard.recent.latest(id),
                draw: fastrand::u16(..),
            };
            let settings = self.freshness.load();
            let freshness = Freshness::new(&settings, response.kind, &circumstances);
            let freshness = flight.softened().map_or(freshness, |at| freshness.ended(at));
            let (response, life) = (Arc::clone(response), settings.life(response.kind));
            let entry = Entry { response, freshness, generation, life };
            into.insert(*id, entry.clone());
            other.invalidate(id);
            entry
        };
        // moka puts off its evictions, up to hundreds of inserts: of large lists that is a
        // multiple of what may be stored. Fills are rare enough to pay at once.
        into.run_pending_tasks();
        // moka may have found it too large, or everything else worth more.
        into.contains_key(id).then(|| self.freshness_of(&entry))
    }

    /// Puts `better` in the place of the same response, if that is still what is stored.
    pub fn improve(&self, id: &FileId, response: &Arc<StoredResponse>, better: StoredResponse) {
        {
            let _shard = self.shard(id).lock();
            let entry = self.lists.get(id);
            let Some(entry) = entry.filter(|entry| Arc::ptr_eq(&entry.response, response)) else {
                return;
            };
            self.lists.insert(*id, Entry { response: Arc::new(better), ..entry });
        }
        self.lists.run_pending_tasks();
    }

    /// Ends a fill whose response must not be kept, nor what it replaces.
    pub(super) fn forget(&self, id: &FileId, flight: &Arc<Flight<E>>) {
        let mut shard = self.shard(id).lock();
        if take_place(&mut shard.flights, id, flight) {
            self.lists.invalidate(id);
            self.negatives.invalidate(id);
        }
    }

    /// Takes a fill off the list, if its place is still its own.
    pub(super) fn leave(&self, id: &FileId, flight: &Arc<Flight<E>>) {
        take_place(&mut self.shard(id).lock().flights, id, flight);
    }

    /// How many wait for the current fill of `id`; `None` if there is none.
    pub fn waiting(&self, id: &FileId) -> Option<usize> {
        self.shard(id).lock().flights.get(id).map(|flight| flight.waiting())
    }

    /// The last invalidation that concerned `id`, as far as it is remembered.
    pub fn last_invalidation(&self, id: &FileId) -> Option<Invalidated> {
        let own = self.shard(id).lock().recent.last(id);
        [own, self.purges.last()].into_iter().flatten().max_by_key(|last| last.at)
    }

    /// How many responses are stored, and what they weigh in bytes. Brings moka's own
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
        self.shards.iter().map(|shard| shard.lock().flights.len()).sum()
    }

    fn shard(&self, id: &FileId) -> &Mutex<Shard<E>> {
        let place = usize::try_from(self.hasher.hash_one(id) % SHARDS as u64);
        place.ok().and_then(|place| self.shards.get(place)).expect("a remainder is in range")
    }

    /// The entry's own freshness, ended by the first soft purge of everything that it is not
    /// younger than.
    fn freshness_of(&self, entry: &Entry) -> Freshness {
        let softened = self.purges.softened(entry.generation);
        softened.map_or(entry.freshness, |at| entry.freshness.ended(at))
    }
}

fn take_place<E>(flights: &mut Flights<E>, id: &FileId, flight: &Arc<Flight<E>>) -> bool {
    let own = flights.get(id).is_some_and(|listed| Arc::ptr_eq(listed, flight));
    own && flights.remove(id).is_some()
}
