//! Bounded queue of purges that could not be published to the fleet yet. None is lost.

use std::collections::VecDeque;

use parking_lot::Mutex;

use crate::cache::{PurgeMode, Target};
use crate::invalidation::Purge;

/// Limit of the queue. Above it, all become one purge of everything: a node that is cut off for
/// long must not keep them all.
const OUTBOX_MAX: usize = 1000;

/// Queue of pending purges, oldest first.
#[derive(Default)]
pub(super) struct Outbox(Mutex<VecDeque<Waiting>>);

/// A pending purge and the number of its requests. A request that comes while the purge is being
/// published may be newer than the published one, so it must be published again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Waiting {
    pub(super) purge: Purge,
    asked: u64,
}

impl Outbox {
    /// Adds a purge, unless a pending one covers it.
    pub(super) fn push(&self, purge: Purge) {
        let mut waiting = self.0.lock();
        let covers = |Waiting { purge: earlier, .. }: &&mut Waiting| {
            (earlier.target == Target::All || earlier.target == purge.target)
                && (earlier.mode == PurgeMode::Hard || earlier.mode == purge.mode)
        };
        if let Some(earlier) = waiting.iter_mut().find(covers) {
            earlier.asked += 1;
            return;
        }
        let mut purge = purge;
        if waiting.len() >= OUTBOX_MAX {
            waiting.clear();
            purge = Purge { target: Target::All, mode: PurgeMode::Hard, ..purge };
        }
        waiting.push_back(Waiting { purge, asked: 1 });
    }

    /// Returns the oldest pending purge.
    pub(super) fn first(&self) -> Option<Waiting> {
        self.0.lock().front().copied()
    }

    /// Removes `first`, which has been published. Keeps the queue as it is if another purge took
    /// its place, or if it was requested again meanwhile.
    pub(super) fn told(&self, first: &Waiting) {
        let mut waiting = self.0.lock();
        if waiting.front() == Some(first) {
            waiting.pop_front();
        }
    }

    pub(super) fn len(&self) -> usize {
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
    fn what_is_waiting_already_is_not_put_in_twice() {
        let outbox = Outbox::default();
        for mode in [PurgeMode::Soft, PurgeMode::Hard, PurgeMode::Soft, PurgeMode::Hard] {
            outbox.push(purge(1, mode));
        }
        assert_eq!(outbox.len(), 2);
        let soft = outbox.first().unwrap();
        assert_eq!(soft.purge.mode, PurgeMode::Soft);
        outbox.told(&soft);
        assert_eq!(outbox.first().unwrap().purge.mode, PurgeMode::Hard);
    }

    #[test]
    fn what_is_asked_for_again_while_it_is_told_is_told_again() {
        let outbox = Outbox::default();
        outbox.push(purge(1, PurgeMode::Hard));
        let under_way = outbox.first().unwrap();
        outbox.push(purge(1, PurgeMode::Hard));
        outbox.told(&under_way);
        let again = outbox.first().unwrap();
        assert_eq!(again.purge, under_way.purge);
        outbox.told(&again);
        assert_eq!(outbox.first(), None);
    }

    #[test]
    fn too_many_become_a_purge_of_everything() {
        let outbox = Outbox::default();
        (0..=OUTBOX_MAX).for_each(|number| outbox.push(purge(number, PurgeMode::Soft)));
        let all = outbox.first().unwrap();
        let Purge { target, mode, .. } = all.purge;
        assert_eq!((outbox.len(), target, mode), (1, Target::All, PurgeMode::Hard));
        outbox.push(purge(7, PurgeMode::Hard));
        assert_eq!(outbox.len(), 1);
        // A purge that was being published when the queue was collapsed is no longer first.
        outbox.told(&Waiting { purge: purge(0, PurgeMode::Soft), asked: 1 });
        assert_eq!(outbox.len(), 1);
        outbox.told(&outbox.first().unwrap());
        assert_eq!(outbox.first(), None);
    }
}
