//! The places of a shelf, and the two queues that run through them.

use std::num::NonZeroU32;
use std::sync::Arc;

use slab::Slab;

use super::bound::{Bound, Line};
use super::shelf::Entry;
use crate::file_id::FileId;

/// By which part the memory for slots grows. Doubling would leave a quarter of it empty; this
/// moves each slot eight times in its life at most.
const GROWTH: usize = 8;
const GROWTH_MIN: usize = 4;

/// Which slot. Four bytes, also when there may be none.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Place(NonZeroU32);

impl Place {
    fn of(key: usize) -> Self {
        let number = u32::try_from(key + 1).ok().and_then(NonZeroU32::new);
        Self(number.expect("entries have hundreds of bytes: memory ends before their numbers"))
    }

    fn key(self) -> usize {
        self.0.get() as usize - 1
    }
}

/// As many bytes as ImageKit's own ids have.
const SHORT_ID: usize = 24;

/// The id of a slot: in place if it is like most, so that a slot takes two lines of a processor's
/// cache at most.
enum SlotId {
    Long(Box<FileId>),
    Short { bytes: [u8; SHORT_ID], length: u8 },
}

impl SlotId {
    fn of(id: &FileId) -> Self {
        let length = id.as_bytes().len();
        let mut bytes = [0; SHORT_ID];
        match (bytes.get_mut(..length), u8::try_from(length)) {
            (Some(place), Ok(length)) => {
                place.copy_from_slice(id.as_bytes());
                Self::Short { bytes, length }
            }
            _ => Self::Long(Box::new(*id)),
        }
    }

    fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Long(id) => id.as_bytes(),
            Self::Short { bytes, length } => bytes.get(..usize::from(*length)).unwrap_or_default(),
        }
    }
}

/// One entry with what its shelf must know of it.
pub(super) struct Slot {
    pub(super) hash: u64,
    pub(super) entry: Entry,
    /// In bytes: as it was told to the bound.
    weight: u32,
    before: Option<Place>,
    after: Option<Place>,
    line: Line,
    id: SlotId,
}

impl Slot {
    pub(super) fn new(hash: u64, id: &FileId, entry: Entry, line: Line) -> Self {
        let (before, after) = (None, None);
        let (id, weight) = (SlotId::of(id), weight_of(&entry));
        Self { hash, entry, weight, before, after, line, id }
    }

    pub(super) fn is_of(&self, id: &FileId) -> bool {
        self.id.as_bytes() == id.as_bytes()
    }

    fn put(&mut self, entry: Entry) {
        self.weight = weight_of(&entry);
        entry.response.inherit_uses(&self.entry.response);
        self.entry = entry;
    }

    pub(super) fn weight(&self) -> u64 {
        self.weight.into()
    }
}

fn weight_of(entry: &Entry) -> u32 {
    u32::try_from(Entry::weight_of(&entry.response)).unwrap_or(u32::MAX)
}

/// The ends of a line, and what all in it weighs.
#[derive(Default)]
struct Queue {
    first: Option<Place>,
    last: Option<Place>,
    bytes: u64,
}

/// All slots of a shelf, each in one of two queues. Whatever comes or goes is told to the bound.
pub(super) struct Slots {
    bound: Arc<Bound>,
    slab: Slab<Slot>,
    small: Queue,
    main: Queue,
}

impl Slots {
    pub(super) fn new(bound: &Arc<Bound>) -> Self {
        let (slab, small, main) = Default::default();
        Self { bound: Arc::clone(bound), slab, small, main }
    }

    pub(super) fn bound(&self) -> &Arc<Bound> {
        &self.bound
    }

    /// Takes all of them out.
    pub(super) fn take(&mut self) -> Self {
        self.bound.uncount_entries(self.slab.len());
        self.bound.shrink(Line::Small, self.small.bytes);
        self.bound.shrink(Line::Main, self.main.bytes);
        let empty = Self::new(&self.bound);
        std::mem::replace(self, empty)
    }

    pub(super) fn get(&self, place: Place) -> &Slot {
        self.slab.get(place.key()).expect("a place is known as long as its slot is taken")
    }

    pub(super) fn get_mut(&mut self, place: Place) -> &mut Slot {
        self.slab.get_mut(place.key()).expect("a place is known as long as its slot is taken")
    }

    pub(super) fn len(&self) -> usize {
        self.slab.len()
    }

    /// Who has waited the longest.
    pub(super) fn first(&self, line: Line) -> Option<Place> {
        match line {
            Line::Small => self.small.first,
            Line::Main => self.main.first,
        }
    }

    /// Takes a slot in, at the end of its line.
    pub(super) fn push(&mut self, slot: Slot) -> Place {
        if self.slab.len() == self.slab.capacity() {
            self.slab.reserve_exact((self.slab.len() / GROWTH).max(GROWTH_MIN));
        }
        self.bound.count_entry();
        let line = slot.line;
        let place = Place::of(self.slab.insert(slot));
        self.link(place, line);
        place
    }

    pub(super) fn remove(&mut self, place: Place) -> Slot {
        self.bound.uncount_entries(1);
        self.unlink(place);
        self.slab.remove(place.key())
    }

    /// Puts a slot at the end of a line, in the same place.
    pub(super) fn requeue(&mut self, place: Place, line: Line) {
        self.unlink(place);
        self.link(place, line);
    }

    /// Exchanges the entry, which keeps its place in the line and its uses.
    pub(super) fn replace(&mut self, place: Place, entry: Entry) {
        let slot = self.get_mut(place);
        let (line, before) = (slot.line, slot.weight());
        slot.put(entry);
        let after = slot.weight();
        self.lighten(line, before);
        self.weigh(line, after);
    }

    fn queue(&mut self, line: Line) -> &mut Queue {
        match line {
            Line::Small => &mut self.small,
            Line::Main => &mut self.main,
        }
    }

    fn link(&mut self, place: Place, line: Line) {
        let queue = self.queue(line);
        let last = queue.last.replace(place);
        if last.is_none() {
            queue.first = Some(place);
        }
        let slot = self.get_mut(place);
        (slot.line, slot.before, slot.after) = (line, last, None);
        let weight = slot.weight();
        self.weigh(line, weight);
        if let Some(last) = last {
            self.get_mut(last).after = Some(place);
        }
    }

    fn unlink(&mut self, place: Place) {
        let slot = self.get(place);
        let (line, before, after, weight) = (slot.line, slot.before, slot.after, slot.weight());
        match before {
            Some(before) => self.get_mut(before).after = after,
            None => self.queue(line).first = after,
        }
        match after {
            Some(after) => self.get_mut(after).before = before,
            None => self.queue(line).last = before,
        }
        self.lighten(line, weight);
    }

    fn weigh(&mut self, line: Line, bytes: u64) {
        self.queue(line).bytes += bytes;
        self.bound.grow(line, bytes);
    }

    fn lighten(&mut self, line: Line, bytes: u64) {
        self.queue(line).bytes -= bytes;
        self.bound.shrink(line, bytes);
    }
}

#[cfg(test)]
impl Slots {
    /// How many stand in both queues, as walked from the first to the last and back.
    pub(super) fn queued(&self) -> usize {
        let walk = |first, next: fn(&Slot) -> Option<Place>| {
            std::iter::successors(first, |place| next(self.get(*place))).collect::<Vec<_>>()
        };
        let of = |queue: &Queue| {
            let forth = walk(queue.first, |slot| slot.after);
            let mut back = walk(queue.last, |slot| slot.before);
            back.reverse();
            assert_eq!(forth, back);
            forth.len()
        };
        of(&self.small) + of(&self.main)
    }
}
