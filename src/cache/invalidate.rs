//! What can be invalidated, how, and what is done then.

use std::time::Duration;

use super::recent::Invalidated;
use super::shelf::Entry;
use super::store::Cache;
use crate::file_id::FileId;

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

impl<E: Clone> Cache<E> {
    /// Makes what is known of `target` unusable. When this returns it is done: see the module.
    pub fn invalidate(&self, target: &Target, force: Force, source: &'static str, now: Duration) {
        let invalidated = Invalidated { at: now, force, source };
        let id = match target {
            Target::File(id) => id,
            Target::All => {
                self.purges.purge(invalidated);
                if force == Force::Hard {
                    self.empty();
                }
                return;
            }
        };
        let (hash, shard) = self.shard(id);
        let mut shard = shard.write();
        shard.recent.note(id, invalidated);
        match force {
            Force::Hard => {
                shard.flights.remove(id);
                shard.remove(hash, id);
            }
            Force::Soft => {
                if let Some(flight) = shard.flights.get(id) {
                    flight.soften(now);
                }
                if let Some(slot) = shard.find(hash, id) {
                    let freshness = self.freshness_of(&slot.entry).ended(now);
                    let entry = Entry::new(&slot.entry.response, freshness, slot.entry.generation);
                    shard.put(hash, id, entry);
                }
            }
        }
    }

    /// The last invalidation that concerned `id`, as far as it is remembered.
    pub fn last_invalidation(&self, id: &FileId) -> Option<Invalidated> {
        let own = self.shard(id).1.read().recent.last(id);
        [own, self.purges.last()].into_iter().flatten().max_by_key(|last| last.at)
    }
}
