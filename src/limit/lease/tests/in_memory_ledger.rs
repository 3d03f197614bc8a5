//! In-process double of the fleet's quota ledger: GCRA of one quota for several nodes.

use std::time::Duration;

use crate::limit::{CellCounts, LeaseGrant, Quota};

/// Ledger of one quota. It computes what the Redis script `debit.lua` computes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct InMemoryLedger {
    /// Theoretical arrival time: when all spent cells have come back, in microseconds.
    tat: f64,
}

impl InMemoryLedger {
    /// Debits cells and returns the grant. `now` is the time of the server's clock.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "as in the script: Lua has only doubles"
    )]
    pub(crate) fn debit(&mut self, quota: Quota, cells: CellCounts, now: Duration) -> LeaseGrant {
        let (now, cell) = (now.as_micros() as f64, quota.interval().as_secs_f64() * 1e6);
        let burst = f64::from(quota.burst.get()) * cell;
        let tat = (self.tat.max(now) + cells.owed as f64 * cell)
            .max(now)
            .min(now + 2.0 * burst + 64.0 * cell);
        let left = ((now + burst - tat) / cell + 0.001).floor().max(0.0) as u32;
        let granted = cells.requested.min(left.saturating_sub(cells.reserve));
        self.tat = tat + f64::from(granted) * cell;
        let wait = (self.tat + cell - burst - now).max(0.0).ceil() as u64;
        LeaseGrant { granted, left: left - granted, wait: Duration::from_micros(wait) }
    }
}
