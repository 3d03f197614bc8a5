//! Purge epochs: a purge of everything without a visit to each entry.
//!
//! Such a purge raises an epoch. Each response and each fill carries the epochs in which it began.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::RwLock;

use super::invalidations::{Invalidation, PurgeMode};

/// Soft purges that are told apart. Above this number the oldest two count as one, at the earlier
/// time.
const SOFT_PURGES_MAX: usize = 64;

/// Epochs in which a response or a fill began.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Generation {
    hard: u64,
    soft: u64,
}

#[derive(Default)]
pub(super) struct PurgeEpochs {
    hard: AtomicU64,
    soft: AtomicU64,
    /// Epoch and time of each soft purge, oldest first.
    soft_times: RwLock<Vec<(u64, Duration)>>,
    last: RwLock<Option<Invalidation>>,
}

impl PurgeEpochs {
    pub(super) fn generation(&self) -> Generation {
        Generation {
            hard: self.hard.load(Ordering::Acquire),
            soft: self.soft.load(Ordering::Acquire),
        }
    }

    /// Returns whether no hard purge has come since `generation`.
    pub(super) fn is_current(&self, generation: Generation) -> bool {
        generation.hard == self.hard.load(Ordering::Acquire)
    }

    pub(super) fn last(&self) -> Option<Invalidation> {
        *self.last.read()
    }

    pub(super) fn purge(&self, invalidation: Invalidation) {
        let mut last = self.last.write();
        match invalidation.mode {
            PurgeMode::Hard => {
                self.hard.fetch_add(1, Ordering::AcqRel);
            }
            PurgeMode::Soft => self.purge_softly(invalidation.at),
        }
        *last = Some(invalidation);
    }

    fn purge_softly(&self, now: Duration) {
        let mut times = self.soft_times.write();
        let epoch = self.soft.load(Ordering::Acquire) + 1;
        times.push((epoch, now));
        if times.len() > SOFT_PURGES_MAX {
            let (_, earlier) = times.remove(0);
            if let Some(oldest) = times.first_mut() {
                oldest.1 = earlier;
            }
        }
        self.soft.store(epoch, Ordering::Release);
    }

    /// Returns the time of the first soft purge since `generation`; `None` if there was none.
    pub(super) fn expired_at(&self, generation: Generation) -> Option<Duration> {
        if generation.soft == self.soft.load(Ordering::Acquire) {
            return None;
        }
        let times = self.soft_times.read();
        times.iter().find(|(epoch, _)| *epoch > generation.soft).map(|(_, at)| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn softly(purges: &PurgeEpochs, seconds: u64) {
        let at = Duration::from_secs(seconds);
        purges.purge(Invalidation { at, mode: PurgeMode::Soft, source: "test" });
    }

    #[test]
    fn the_first_soft_purge_that_hit_a_generation_counts_for_it() {
        let purges = PurgeEpochs::default();
        let oldest = purges.generation();
        assert_eq!(purges.expired_at(oldest), None);
        softly(&purges, 1);
        let younger = purges.generation();
        softly(&purges, 2);
        assert_eq!(purges.expired_at(oldest), Some(Duration::from_secs(1)));
        assert_eq!(purges.expired_at(younger), Some(Duration::from_secs(2)));
        assert_eq!(purges.expired_at(purges.generation()), None);
    }

    #[test]
    fn many_soft_purges_are_never_taken_for_later_than_they_were() {
        let purges = PurgeEpochs::default();
        let oldest = purges.generation();
        let mut generations = Vec::new();
        for second in 1..=1000 {
            generations.push((second, purges.generation()));
            softly(&purges, second);
        }
        assert_eq!(purges.soft_times.read().len(), SOFT_PURGES_MAX);
        assert_eq!(purges.expired_at(oldest), Some(Duration::from_secs(1)));
        for (second, generation) in generations {
            let expired = purges.expired_at(generation).unwrap();
            assert!(expired <= Duration::from_secs(second), "of second {second}");
        }
    }
}
