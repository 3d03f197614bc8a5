//! What is known of the files of one shard, under its lock.

use std::collections::HashMap;
use std::sync::Arc;

use ahash::RandomState;

use super::bound::Bound;
use super::entry::Kind;
use super::fill::Flight;
use super::recent::Recent;
use super::shelf::{Entry, Shelf};
use super::slots::Slot;
use crate::file_id::FileId;

/// How many files' last invalidations each shard remembers: a megabyte for all.
const RECENT_PER_SHARD: usize = 32;

pub(super) struct Shard<E> {
    pub(super) lists: Shelf,
    pub(super) negatives: Shelf,
    pub(super) flights: HashMap<FileId, Arc<Flight<E>>, RandomState>,
    pub(super) recent: Recent,
}

impl<E> Shard<E> {
    pub(super) fn new(lists: &Arc<Bound>, negatives: &Arc<Bound>) -> Self {
        Self {
            lists: Shelf::new(lists),
            negatives: Shelf::new(negatives),
            flights: HashMap::default(),
            recent: Recent::new(RECENT_PER_SHARD),
        }
    }

    pub(super) fn find(&self, hash: u64, id: &FileId) -> Option<&Slot> {
        self.lists.find(hash, id).or_else(|| self.negatives.find(hash, id))
    }

    pub(super) fn shelf(&mut self, kind: Kind) -> &mut Shelf {
        match kind {
            Kind::List => &mut self.lists,
            Kind::BadRequest | Kind::NotFound => &mut self.negatives,
        }
    }

    /// What an entry of this kind would take the place of, in bytes.
    pub(super) fn weight(&self, kind: Kind, hash: u64, id: &FileId) -> u64 {
        let slot = match kind {
            Kind::List => self.lists.find(hash, id),
            Kind::BadRequest | Kind::NotFound => self.negatives.find(hash, id),
        };
        slot.map_or(0, Slot::weight)
    }

    pub(super) fn remove(&mut self, hash: u64, id: &FileId) {
        self.lists.remove(hash, id);
        self.negatives.remove(hash, id);
    }

    /// Puts an entry in, in the place of whatever there was of this file.
    pub(super) fn put(&mut self, hash: u64, id: &FileId, entry: Entry) {
        let (into, other) = match entry.response.kind {
            Kind::List => (&mut self.lists, &mut self.negatives),
            Kind::BadRequest | Kind::NotFound => (&mut self.negatives, &mut self.lists),
        };
        other.remove(hash, id);
        into.put(hash, id, entry);
    }

    /// Takes a fill off the list. False: its place is no longer its own.
    pub(super) fn land(&mut self, id: &FileId, flight: &Arc<Flight<E>>) -> bool {
        let own = self.flights.get(id).is_some_and(|listed| Arc::ptr_eq(listed, flight));
        own && self.flights.remove(id).is_some()
    }
}
