//! Where the stored responses of one shard stand, and which of them makes room for others.
//!
//! S3-FIFO (Yang et al., "FIFO queues are all you need for cache eviction", SOSP 2023): new
//! entries wait in a small queue, and leave from there unless they are used again; what is used
//! stands in the main one. So whoever asks for one file after another pushes out the like of
//! these, and not what others ask for time and again. A use costs a hit no more than a byte.

use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashTable;

use super::bound::{Bound, Line};
use super::entry::StoredResponse;
use super::freshness::Freshness;
use super::ghosts::Ghosts;
use super::purges::Generation;
use super::slots::{Place, Slot, Slots};
use crate::file_id::FileId;

/// What an entry takes besides its slot and what its response weighs: its place in the table and
/// among the ghosts, and what an allocator adds to the pieces of a response.
const OVERHEAD_BYTES: usize = 64;

/// One stored response, and what decides whether it may be used.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) response: Arc<StoredResponse>,
    /// From when the upstream was asked for the response on.
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

    /// What an entry with this response takes, in bytes.
    pub(super) fn weight_of(response: &StoredResponse) -> u64 {
        (response.weight() + size_of::<Slot>() + OVERHEAD_BYTES) as u64
    }
}

/// What came of a step towards room.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Step {
    /// Nobody of that line is here.
    Empty,
    Evicted,
    /// It was its turn, and it stays: it was used.
    Spared,
}

pub(super) struct Shelf {
    table: HashTable<Place>,
    slots: Slots,
    ghosts: Ghosts,
}

impl Shelf {
    pub(super) fn new(bound: &Arc<Bound>) -> Self {
        let (table, ghosts) = Default::default();
        Self { table, slots: Slots::new(bound), ghosts }
    }

    /// `hash`: of `id`, here and below.
    pub(super) fn find(&self, hash: u64, id: &FileId) -> Option<&Slot> {
        self.place(hash, id).map(|place| self.slots.get(place))
    }

    /// Puts an entry in, in the place of the last one of the same id.
    pub(super) fn put(&mut self, hash: u64, id: &FileId, entry: Entry) {
        if let Some(place) = self.place(hash, id) {
            self.slots.replace(place, entry);
            return;
        }
        let line = if self.ghosts.recall(hash) { Line::Main } else { Line::Small };
        let place = self.slots.push(Slot::new(hash, id, entry, line));
        let slots = &self.slots;
        self.table.insert_unique(hash, place, |place| slots.get(*place).hash);
    }

    /// Whether there was one.
    pub(super) fn remove(&mut self, hash: u64, id: &FileId) -> bool {
        self.place(hash, id).map(|place| self.vacate(place)).is_some()
    }

    fn vacate(&mut self, place: Place) -> Slot {
        let slot = self.slots.remove(place);
        if let Ok(found) = self.table.find_entry(slot.hash, |other| *other == place) {
            found.remove();
        }
        slot
    }

    /// Takes everything out.
    pub(super) fn take(&mut self) -> Self {
        let bound = Arc::clone(self.slots.bound());
        let slots = self.slots.take();
        let empty = std::mem::replace(self, Self::new(&bound));
        Self { slots, ..empty }
    }

    /// Lets the first of a line go, unless it was used; with `strictly`, used or not.
    pub(super) fn evict(&mut self, line: Line, strictly: bool) -> Step {
        let Some(place) = self.slots.first(line) else { return Step::Empty };
        if self.slots.get(place).entry.response.spend_use() && !strictly {
            self.slots.requeue(place, Line::Main);
            return Step::Spared;
        }
        if line == Line::Small {
            self.ghosts.remember(self.slots.get(place).hash, self.slots.len());
        }
        self.vacate(place);
        self.slots.bound().count_eviction();
        Step::Evicted
    }

    /// Where the entries are of which this is so.
    pub(super) fn places_where(&self, is_so: impl Fn(&Entry) -> bool) -> Vec<Place> {
        let is_so = |place: &Place| is_so(&self.slots.get(*place).entry);
        self.table.iter().copied().filter(is_so).collect()
    }

    /// Takes these out. Of this shelf, and under the same lock as when they were found.
    pub(super) fn vacate_all(&mut self, places: &[Place]) -> Vec<Slot> {
        places.iter().map(|place| self.vacate(*place)).collect()
    }

    fn place(&self, hash: u64, id: &FileId) -> Option<Place> {
        self.table.find(hash, |place| self.slots.get(*place).is_of(id)).copied()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use bytes::Bytes;
    use proptest::prelude::*;

    use super::super::entry::Kind;
    use super::super::purges::Purges;
    use super::*;

    #[derive(Clone, Debug)]
    enum Action {
        Put(u64, usize),
        Take(u64),
        Use(u64),
        Evict { line: Line, strictly: bool },
        Empty,
    }

    fn action() -> impl Strategy<Value = Action> {
        let numbers = 0..40_u64;
        prop_oneof![
            6 => (numbers.clone(), 0..2000_usize).prop_map(|(n, length)| Action::Put(n, length)),
            2 => numbers.clone().prop_map(Action::Take),
            4 => numbers.prop_map(Action::Use),
            4 => (any::<bool>(), any::<bool>()).prop_map(|(small, strictly)| {
                let line = if small { Line::Small } else { Line::Main };
                Action::Evict { line, strictly }
            }),
            1 => Just(Action::Empty),
        ]
    }

    fn file(number: u64) -> FileId {
        FileId::parse(&number.to_string()).unwrap()
    }

    /// Of so few that some entries share one.
    fn hash(number: u64) -> u64 {
        (number % 23).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    fn entry(length: usize) -> Entry {
        let as_of = Duration::ZERO;
        let body = Bytes::from(vec![0; length]);
        let response = Arc::new(StoredResponse::new(Kind::NotFound, body, as_of));
        let freshness = Freshness::of(as_of, Duration::ZERO);
        Entry::new(&response, freshness, Purges::default().generation())
    }

    proptest! {
        #[test]
        fn a_shelf_is_a_map_whose_queues_hold_each_entry_once(
            actions in proptest::collection::vec(action(), 1..200),
        ) {
            let bound = Bound::new(1_000_000);
            let mut shelf = Shelf::new(&bound);
            let mut model = HashMap::new();
            for action in actions {
                match action {
                    Action::Put(number, length) => {
                        shelf.put(hash(number), &file(number), entry(length));
                        model.insert(number, length);
                    }
                    Action::Take(number) => {
                        let taken = shelf.remove(hash(number), &file(number));
                        prop_assert_eq!(taken, model.remove(&number).is_some());
                    }
                    Action::Use(number) => {
                        shelf.find(hash(number), &file(number)).inspect(|slot| {
                            slot.entry.response.note_use();
                        });
                    }
                    Action::Evict { line, strictly } => {
                        let step = shelf.evict(line, strictly);
                        let before = model.len();
                        model.retain(|n, _| shelf.find(hash(*n), &file(*n)).is_some());
                        let gone = before - model.len();
                        prop_assert_eq!(gone, usize::from(step == Step::Evicted));
                        prop_assert!(!(strictly && step == Step::Spared));
                    }
                    Action::Empty => {
                        prop_assert_eq!(shelf.take().slots.len(), model.len());
                        model.clear();
                    }
                }
                let mut weight = 0;
                for (number, length) in &model {
                    let slot = shelf.find(hash(*number), &file(*number)).unwrap();
                    prop_assert_eq!(slot.entry.response.body.len(), *length);
                    weight += slot.weight();
                }
                prop_assert_eq!((bound.entries(), bound.bytes()), (model.len() as u64, weight));
                prop_assert_eq!(shelf.slots.queued(), model.len());
            }
        }
    }
}
