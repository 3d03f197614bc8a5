//! Purges that the fleet has not heard of yet: at most so many, and none is lost.

use std::collections::VecDeque;

use parking_lot::Mutex;

use crate::cache::{Force, Target};
use crate::invalidation::Purge;

/// More become one purge of everything: a node that is cut off for long must not keep them all.
const OUTBOX_MAX: usize = 1000;

#[derive(Default)]
pub(super) struct Outbox(Mutex<VecDeque<Purge>>);

impl Outbox {
    pub(super) fn push(&self, purge: Purge) {
        let mut waiting = self.0.lock();
        let covers = |earlier: &Purge| {
            (earlier.target == Target::All || earlier.target == purge.target)
                && (earlier.force == Force::Hard || earlier.force == purge.force)
        };
        if waiting.iter().any(covers) {
            return;
        }
        if waiting.len() >= OUTBOX_MAX {
            waiting.clear();
            waiting.push_back(Purge { target: Target::All, force: Force::Hard, ..purge });
        } else {
            waiting.push_back(purge);
        }
    }

    pub(super) fn first(&self) -> Option<Purge> {
        self.0.lock().front().copied()
    }

    /// What was first has been told, unless something else took its place.
    pub(super) fn told(&self, purge: &Purge) {
        let mut waiting = self.0.lock();
        if waiting.front() == Some(purge) {
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

    fn purge(number: usize, force: Force) -> Purge {
        let target = Target::File(FileId::parse(&number.to_string()).unwrap());
        Purge { target, force, source: InvalidationSource::Admin }
    }

    #[test]
    fn what_is_waiting_already_is_not_put_in_twice() {
        let outbox = Outbox::default();
        for force in [Force::Soft, Force::Hard, Force::Soft, Force::Hard] {
            outbox.push(purge(1, force));
        }
        assert_eq!(outbox.len(), 2);
        let soft = outbox.first().unwrap();
        assert_eq!(soft.force, Force::Soft);
        outbox.told(&soft);
        assert_eq!(outbox.first().unwrap().force, Force::Hard);
    }

    #[test]
    fn too_many_become_a_purge_of_everything() {
        let outbox = Outbox::default();
        (0..=OUTBOX_MAX).for_each(|number| outbox.push(purge(number, Force::Soft)));
        let all = outbox.first().unwrap();
        assert_eq!((outbox.len(), all.target, all.force), (1, Target::All, Force::Hard));
        outbox.push(purge(7, Force::Hard));
        assert_eq!(outbox.len(), 1);
        // What was on its way when it was replaced is no longer first.
        outbox.told(&purge(0, Force::Soft));
        assert_eq!(outbox.len(), 1);
        outbox.told(&all);
        assert_eq!(outbox.first(), None);
    }
}
