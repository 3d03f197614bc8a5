//! Purges of everything. They visit nothing: they raise an epoch, and responses and fills say
//! which epoch they are of.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::RwLock;

use super::invalidate::Force;
use super::recent::Invalidated;

/// How many soft purges are told apart. Beyond it the oldest two are taken for one, the earlier.
const SOFT_PURGES_MAX: usize = 64;

/// Which purges of everything a response or a fill is younger than.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Generation {
    pub(super) hard: u64,
    soft: u64,
}

#[derive(Default)]
pub(super) struct Purges {
    hard: AtomicU64,
    soft: AtomicU64,
    /// When each soft one came, oldest first, with the epoch that it began.
    soft_times: RwLock<Vec<(u64, Duration)>>,
    last: RwLock<Option<Invalidated>>,
}

impl Purges {
    pub(super) fn generation(&self) -> Generation {
        Generation { hard: self.hard(), soft: self.soft.load(Ordering::Acquire) }
    }

    /// The epoch that counts: what is of an older one is gone.
    pub(super) fn hard(&self) -> u64 {
        self.hard.load(Ordering::Acquire)
    }

    pub(super) fn last(&self) -> Option<Invalidated> {
        *self.last.read()
    }

    pub(super) fn purge(&self, invalidated: Invalidated) {
        let mut last = self.last.write();
        match invalidated.force {
            Force::Hard => {
                self.hard.fetch_add(1, Ordering::AcqRel);
            }
            Force::Soft => self.purge_softly(invalidated.at),
        }
        *last = Some(invalidated);
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

    /// When the first soft purge came that `generation` is not younger than.
    pub(super) fn softened(&self, generation: Generation) -> Option<Duration> {
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

    fn softly(purges: &Purges, seconds: u64) {
        let at = Duration::from_secs(seconds);
        purges.purge(Invalidated { at, force: Force::Soft, source: "test" });
    }

    #[test]
    fn the_first_soft_purge_that_hit_a_generation_counts_for_it() {
        let purges = Purges::default();
        let oldest = purges.generation();
        assert_eq!(purges.softened(oldest), None);
        softly(&purges, 1);
        let younger = purges.generation();
        softly(&purges, 2);
        assert_eq!(purges.softened(oldest), Some(Duration::from_secs(1)));
        assert_eq!(purges.softened(younger), Some(Duration::from_secs(2)));
        assert_eq!(purges.softened(purges.generation()), None);
    }

    #[test]
    fn many_soft_purges_are_never_taken_for_later_than_they_were() {
        let purges = Purges::default();
        let oldest = purges.generation();
        let mut generations = Vec::new();
        for second in 1..=1000 {
            generations.push((second, purges.generation()));
            softly(&purges, second);
        }
        assert_eq!(purges.soft_times.read().len(), SOFT_PURGES_MAX);
        assert_eq!(purges.softened(oldest), Some(Duration::from_secs(1)));
        for (second, generation) in generations {
            let softened = purges.softened(generation).unwrap();
            assert!(softened <= Duration::from_secs(second), "of second {second}");
        }
    }
}
