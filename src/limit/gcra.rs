//! GCRA ledger of one quota for several nodes: the double of the fleet's Redis script, for tests.

use std::time::Duration;

use super::quota::Quota;
use super::share::{Debit, Grant};

/// Theoretical arrival time of the quota: when all spent cells have come back, in microseconds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Gcra {
    tat: f64,
}

impl Gcra {
    /// Debits cells and returns the grant. `now` is the time of the server's clock.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "as the script has it, which knows no other numbers"
    )]
    pub(crate) fn debit(&mut self, quota: Quota, debit: Debit, now: Duration) -> Grant {
        let (now, cell) = (now.as_micros() as f64, quota.interval().as_secs_f64() * 1e6);
        let burst = f64::from(quota.burst.get()) * cell;
        let tat = (self.tat.max(now) + debit.owed as f64 * cell)
            .max(now)
            .min(now + 2.0 * burst + 64.0 * cell);
        let left = ((now + burst - tat) / cell + 0.001).floor().max(0.0) as u32;
        let granted = debit.asked.min(left.saturating_sub(debit.reserve));
        self.tat = tat + f64::from(granted) * cell;
        let wait = (self.tat + cell - burst - now).max(0.0).ceil() as u64;
        Grant { granted, left: left - granted, wait: Duration::from_micros(wait) }
    }
}
