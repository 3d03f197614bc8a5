//! Bounded queue of purges that could not be published to the fleet yet. None is lost while the
//! process runs; above the limit they become one purge of everything.

use std::collections::VecDeque;

use parking_lot::Mutex;

use crate::cache::{PurgeMode, Target};
use crate::invalidation::Purge;

/// Limit of the queue. Above it, all become one purge of everything: a node that is cut off for
/// long must not keep them all.
const OUTBOX_MAX: usize = 1000;

/// Queue of pending purges, oldest first.
#[derive(Default)]
pub(in crate::cluster) struct Outbox(Mutex<VecDeque<PendingPurge>>);

/// A pending purge and the number of its requests. A request that comes while the purge is being
/// published may be newer than the published one, so it must be published again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct PendingPurge {
    pub(super) purge: Purge,
    requests: u64,
}

impl Outbox {
    /// Adds a purge, unless a pending one covers it.
    pub(super) fn push(&self, purge: Purge) {
        let mut pending = self.0.lock();
        let covers = |PendingPurge { purge: earlier, .. }: &&mut PendingPurge| {
            (earlier.target == Target::All || earlier.target == purge.target)
                && (earlier.mode == PurgeMode::Hard || earlier.mode == purge.mode)
        };
        if let Some(earlier) = pending.iter_mut().find(covers) {
            earlier.requests += 1;
            return;
        }
        let mut purge = purge;
        if pending.len() >= OUTBOX_MAX {
            pending.clear();
            purge = Purge { target: Target::All, mode: PurgeMode::Hard, ..purge };
        }
        pending.push_back(PendingPurge { purge, requests: 1 });
    }

    /// Returns the oldest pending purge.
    pub(super) fn first(&self) -> Option<PendingPurge> {
        self.0.lock().front().copied()
    }

    /// Removes `first`, which has been published. Keeps the queue as it is if another purge took
    /// its place, or if it was requested again meanwhile.
    pub(super) fn remove_published(&self, first: &PendingPurge) {
        let mut pending = self.0.lock();
        if pending.front() == Some(first) {
            pending.pop_front();
        }
    }

    pub(in crate::cluster) fn len(&self) -> usize {
        self.0.lock().len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file_id::FileId;
    use crate::invalidation::InvalidationSource;

    fn purge(number: usize, mode: PurgeMode) -> Purge {
        let target = Target::File(FileId::parse(&number.to_string()).unwrap());
        Purge { target, mode, source: InvalidationSource::Admin }
    }

    #[test]
    fn a_purge_that_a_pending_one_covers_is_not_added() {
        let outbox = Outbox::default();
        for mode in [PurgeMode::Soft, PurgeMode::Hard, PurgeMode::Soft, PurgeMode::Hard] {
            outbox.push(purge(1, mode));
        }
        assert_eq!(outbox.len(), 2);
        let soft = outbox.first().unwrap();
        assert_eq!(soft.purge.mode, PurgeMode::Soft);
        outbox.remove_published(&soft);
        assert_eq!(outbox.first().unwrap().purge.mode, PurgeMode::Hard);
    }

    #[test]
    fn a_purge_that_is_requested_again_while_it_is_published_is_published_again() {
        let outbox = Outbox::default();
        outbox.push(purge(1, PurgeMode::Hard));
        let in_flight = outbox.first().unwrap();
        outbox.push(purge(1, PurgeMode::Hard));
        outbox.remove_published(&in_flight);
        let again = outbox.first().unwrap();
        assert_eq!(again.purge, in_flight.purge);
        outbox.remove_published(&again);
        assert_eq!(outbox.first(), None);
    }

    #[test]
    fn too_many_pending_purges_become_a_purge_of_everything() {
        let outbox = Outbox::default();
        (0..=OUTBOX_MAX).for_each(|number| outbox.push(purge(number, PurgeMode::Soft)));
        let all = outbox.first().unwrap();
        let Purge { target, mode, .. } = all.purge;
        assert_eq!((outbox.len(), target, mode), (1, Target::All, PurgeMode::Hard));
        outbox.push(purge(7, PurgeMode::Hard));
        assert_eq!(outbox.len(), 1);
        // A purge that was being published when the queue was collapsed is no longer first.
        outbox.remove_published(&PendingPurge { purge: purge(0, PurgeMode::Soft), requests: 1 });
        assert_eq!(outbox.len(), 1);
        outbox.remove_published(&outbox.first().unwrap());
        assert_eq!(outbox.first(), None);
    }
}
