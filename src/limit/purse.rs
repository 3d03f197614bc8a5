//! Cells that were debited in advance, in one word.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Cells that may be spent until some time, in one word: a hit takes no lock for them.
#[derive(Debug, Default)]
pub(super) struct Purse(AtomicU64);

const CELL_BITS: u32 = 24;
const CELLS_MAX: u64 = (1 << CELL_BITS) - 1;

impl Purse {
    fn unpack(word: u64) -> (Duration, u64) {
        (Duration::from_millis(word >> CELL_BITS), word & CELLS_MAX)
    }

    /// Takes one: how many are left.
    pub(super) fn take(&self, now: Duration) -> Option<u64> {
        let taken = self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, |word| {
            let (until, cells) = Self::unpack(word);
            (cells > 0 && now < until).then(|| word - 1)
        });
        taken.ok().map(|word| Self::unpack(word).1 - 1)
    }

    pub(super) fn cells(&self, now: Duration) -> u32 {
        let (until, cells) = Self::unpack(self.0.load(Ordering::Acquire));
        if now < until { u32::try_from(cells).unwrap_or(u32::MAX) } else { 0 }
    }

    /// Takes out all that were there, spendable or not.
    pub(super) fn empty(&self) -> u64 {
        Self::unpack(self.0.swap(0, Ordering::AcqRel)).1
    }

    pub(super) fn fill(&self, cells: u64, until: Duration) {
        let until = u64::try_from(until.as_millis()).unwrap_or(u64::MAX >> CELL_BITS);
        self.0.store(until << CELL_BITS | cells.min(CELLS_MAX), Ordering::Release);
    }
}
