//! The cache itself: stored responses, fills in progress, and the lock that orders both.
//!
//! **An invalidation is final.** Fills in progress are listed per file. Under the file's shard
//! lock, an invalidation takes the fill off the list and removes the stored response; a fill
//! that comes back stores only while its place on the list is still its own. So what was asked
//! for before an invalidation is never stored after it, and whoever comes after it starts a fill
//! of their own. What is remembered of the past only bears on how long a response is fresh: the
//! state is bounded by the fills in progress.
//!
//! A purge of everything raises an epoch (`purges`): from then on responses and fills of an older
//! one do not count when they are looked up. Only then are the shards visited, one by one.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use ahash::RandomState;
use arc_swap::ArcSwap;
use parking_lot::RwLock;

use super::bound::Bound;
use super::entry::{Kind, StoredResponse};
use super::fill::{Fill, Flight, Origin, Waiter};
use super::freshness::{Circumstances, Freshness, FreshnessSettings, Reuse};
use super::purges::Purges;
use super::shard::Shard;
use super::shelf::Entry;
use super::slots::Slot;
use crate::file_id::FileId;

/// More shards let more fills of different files end at once, and keep each one's lock for less
/// time when its memory grows; each is a lock and small maps.
pub(super) const SHARDS: usize = 256;

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
    /// How long a fill may take. One that has taken longer, since its process slept, is joined by
    /// nobody: what it brings was asked for too long ago.
    pub fill_timeout: Duration,
    pub freshness: FreshnessSettings,
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

/// Version lists and negative answers, by file. `E` is how a fill can fail.
pub struct Cache<E> {
    pub(super) shards: Box<[RwLock<Shard<E>>]>,
    hasher: RandomState,
    pub(super) lists: Arc<Bound>,
    pub(super) negatives: Arc<Bound>,
    /// The shard that is next to make room.
    pub(super) turn: AtomicUsize,
    pub(super) purges: Purges,
    pub(super) freshness: ArcSwap<FreshnessSettings>,
    fill_timeout: Duration,
}

impl<E: Clone> Cache<E> {
    pub fn new(settings: &CacheSettings) -> Arc<Self> {
        let negative_bytes = settings.max_bytes / NEGATIVE_SHARE;
        let lists = Bound::new(settings.max_bytes - negative_bytes);
        let negatives = Bound::new(negative_bytes);
        let shard = || RwLock::new(Shard::new(&lists, &negatives));
        Arc::new(Self {
            shards: std::iter::repeat_with(shard).take(SHARDS).collect(),
            hasher: RandomState::new(),
            lists,
            negatives,
            turn: AtomicUsize::default(),
            purges: Purges::default(),
            freshness: ArcSwap::from_pointee(settings.freshness),
            fill_timeout: settings.fill_timeout,
        })
    }

    /// Changes how long responses may be used. What is stored keeps the ttl that it got; the
    /// windows after it are the new ones.
    pub fn set_freshness(&self, settings: FreshnessSettings) {
        self.freshness.store(Arc::new(settings));
    }

    pub fn freshness(&self) -> FreshnessSettings {
        **self.freshness.load()
    }

    /// What is stored for `id`, and how it may be used at `now`.
    pub fn lookup(&self, id: &FileId, now: Duration) -> Lookup {
        let (hash, shard) = self.shard(id);
        self.look(&shard.read(), hash, id, now)
    }

    /// Takes a place in the fill of `id`, starting one if there is none.
    pub fn join(self: &Arc<Self>, id: &FileId, now: Duration) -> Seat<E> {
        let (hash, shard) = self.shard(id);
        let mut shard = shard.write();
        if let Some(flight) = shard.flights.get(id)
            && flight.generation.hard == self.purges.hard()
            && now <= flight.began + self.fill_timeout
        {
            return Seat::Follower(flight.waiter());
        }
        // The lookup that missed may be older than a fill that has just ended.
        let found = self.look(&shard, hash, id, now);
        if let Lookup::Found { response, reuse: Reuse::Fresh { ttl_left } } = found {
            return Seat::Answered { response, ttl_left };
        }
        let flight = Flight::new(self.purges.generation(), now);
        shard.flights.insert(*id, Arc::clone(&flight));
        drop(shard);
        let waiter = flight.waiter();
        Seat::Leader(Fill::new(Arc::clone(self), *id, flight), waiter)
    }

    /// Ends a fill with a response to keep, if the fill is still current.
    pub(super) fn store(
        &self,
        id: &FileId,
        flight: &Arc<Flight<E>>,
        response: &Arc<StoredResponse>,
        origin: Origin,
    ) -> Option<Freshness> {
        let kind = response.kind;
        let (hash, shard) = self.shard(id);
        let weight = Entry::weight_of(response);
        let fits = self.bound(kind).admits(weight);
        if fits {
            let before = shard.read().weight(kind, hash, id);
            self.make_room(kind, weight.saturating_sub(before));
        }
        let mut shard = shard.write();
        let own = shard.land(id, flight);
        // A purge of everything may come between this check and the insert: the entry says which
        // ones it is younger than.
        if !own || flight.generation.hard != self.purges.hard() {
            return None;
        }
        if !fits {
            shard.remove(hash, id);
            return None;
        }
        let circumstances = Circumstances {
            as_of: response.as_of,
            invalidated: shard.recent.latest(id),
            draw: fastrand::u16(..),
            origin,
        };
        let freshness = Freshness::new(&self.freshness.load(), kind, &circumstances);
        let freshness = flight.softened().map_or(freshness, |at| freshness.ended(at));
        let entry = Entry::new(response, freshness, flight.generation);
        let freshness = self.freshness_of(&entry);
        shard.put(hash, id, entry);
        Some(freshness)
    }

    /// Puts `better` in the place of the same response, if that is still what is stored.
    pub fn improve(&self, id: &FileId, response: &Arc<StoredResponse>, better: StoredResponse) {
        let better = Arc::new(better);
        let (before, after) = (response.weight() as u64, better.weight() as u64);
        if !self.lists.admits(after) {
            return;
        }
        self.make_room(Kind::List, after.saturating_sub(before));
        let (hash, shard) = self.shard(id);
        let mut shard = shard.write();
        let slot = shard.lists.find(hash, id);
        if let Some(slot) = slot.filter(|slot| Arc::ptr_eq(&slot.entry.response, response)) {
            let Entry { generation, .. } = slot.entry;
            let entry = Entry::new(&better, slot.entry.freshness(), generation);
            shard.lists.put(hash, id, entry);
        }
    }

    /// Ends a fill whose response must not be kept, nor what it replaces.
    pub(super) fn forget(&self, id: &FileId, flight: &Arc<Flight<E>>) {
        let (hash, shard) = self.shard(id);
        let mut shard = shard.write();
        if shard.land(id, flight) {
            shard.remove(hash, id);
        }
    }

    /// Takes a fill off the list, if its place is still its own.
    pub(super) fn leave(&self, id: &FileId, flight: &Arc<Flight<E>>) {
        self.shard(id).1.write().land(id, flight);
    }

    /// How many wait for the current fill of `id`; `None` if there is none.
    pub fn waiting(&self, id: &FileId) -> Option<usize> {
        self.shard(id).1.read().flights.get(id).map(|flight| flight.waiting())
    }

    pub fn fills_in_progress(&self) -> usize {
        self.shards.iter().map(|shard| shard.read().flights.len()).sum()
    }

    /// The hash of `id`, and the shard that it belongs to.
    pub(super) fn shard(&self, id: &FileId) -> (u64, &RwLock<Shard<E>>) {
        let hash = self.hasher.hash_one(id);
        // By other bits than those that tell the entries of a shard apart.
        let place = usize::try_from((hash >> 40) % SHARDS as u64);
        let shard = place.ok().and_then(|place| self.shards.get(place));
        (hash, shard.expect("a remainder is in range"))
    }

    fn look(&self, shard: &Shard<E>, hash: u64, id: &FileId, now: Duration) -> Lookup {
        let slot = shard.find(hash, id);
        let current = |slot: &&Slot| slot.entry.generation.hard == self.purges.hard();
        let Some(slot) = slot.filter(current) else { return Lookup::Absent };
        let response = Arc::clone(&slot.entry.response);
        let windows = self.freshness.load().windows(response.kind);
        let reuse = self.freshness_of(&slot.entry).reuse(windows, now);
        Lookup::Found { response, reuse }
    }

    /// The entry's own freshness, ended by the first soft purge of everything that it is not
    /// younger than.
    pub(super) fn freshness_of(&self, entry: &Entry) -> Freshness {
        let softened = self.purges.softened(entry.generation);
        softened.map_or(entry.freshness(), |at| entry.freshness().ended(at))
    }
}
