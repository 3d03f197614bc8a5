//! Leased cells and their expiry, packed into one `AtomicU64`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Cells that were debited in advance, and may be spent until their expiry. Spending takes no lock.
#[derive(Debug, Default)]
pub(super) struct LeasedCells(AtomicU64);

const CELL_BITS: u32 = 24;
const CELLS_MAX: u64 = (1 << CELL_BITS) - 1;

impl LeasedCells {
    /// Returns the expiry and the number of cells.
    fn unpack(word: u64) -> (Duration, u64) {
        (Duration::from_millis(word >> CELL_BITS), word & CELLS_MAX)
    }

    /// Spends one cell. Returns how many are left; `None` if there is none or they have expired.
    pub(super) fn take(&self, now: Duration) -> Option<u64> {
        let before = self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, |word| {
            let (until, cells) = Self::unpack(word);
            (cells > 0 && now < until).then(|| word - 1)
        });
        before.ok().map(|word| Self::unpack(word).1 - 1)
    }

    /// Returns the number of cells that may be spent at `now`.
    pub(super) fn count(&self, now: Duration) -> u32 {
        let (until, cells) = Self::unpack(self.0.load(Ordering::Acquire));
        if now < until { u32::try_from(cells).unwrap_or(u32::MAX) } else { 0 }
    }

    /// Removes all cells, expired or not, and returns their number.
    pub(super) fn clear(&self) -> u64 {
        Self::unpack(self.0.swap(0, Ordering::AcqRel)).1
    }

    /// Replaces the cells, which expire at `until`.
    pub(super) fn set(&self, cells: u64, until: Duration) {
        let until = u64::try_from(until.as_millis()).unwrap_or(u64::MAX >> CELL_BITS);
        self.0.store(until << CELL_BITS | cells.min(CELLS_MAX), Ordering::Release);
    }
}
