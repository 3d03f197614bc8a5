//! Account of one lease with the fleet's ledger: what it owes, and what the ledger last answered.

use std::time::Duration;

use super::terms::LeaseGrant;
use crate::limit::quota::Quota;

/// Longest time for which a refusal is believed without a new request: quotas change.
pub(super) const REFUSAL_TIME: Duration = Duration::from_secs(1);

/// Account of one lease with the ledger.
#[derive(Debug, Default)]
pub(super) struct LedgerAccount {
    /// Cells that were spent and not yet reported to the ledger.
    pub(super) debts: Debts,
    /// Cells that are reported by the request in flight.
    pub(super) reported: i64,
    /// Time of the ledger's last answer.
    pub(super) answered_at: Option<Duration>,
    /// Time until which no cell is left, by the ledger's last answer; `None` if some were left.
    pub(super) exhausted_until: Option<Duration>,
    /// Time at which a refusal is checked with the ledger again.
    pub(super) recheck_at: Duration,
}

/// Debts: cells that were spent and not debited. Old debts expire, since their cells have come back
/// meanwhile.
#[derive(Debug, Default)]
pub(super) struct Debts {
    /// Cells spent in the current period. A period is the time in which a whole burst comes back.
    current: i64,
    /// Start of the current period.
    since: Duration,
    /// Cells spent in the period before.
    last: i64,
}

impl LedgerAccount {
    /// Returns the cells that are left in the quota as far as known: `left` by the ledger's last
    /// answer, plus what has come back since. What other nodes spend meanwhile is not known.
    pub(super) fn left(&self, left: u32, quota: Quota, now: Duration) -> u32 {
        let Some(answered_at) = self.answered_at else { return quota.burst.get() };
        let back = now.saturating_sub(answered_at).as_nanos() / quota.interval().as_nanos().max(1);
        left.saturating_add(u32::try_from(back).unwrap_or(u32::MAX)).min(quota.burst.get())
    }

    /// Moves the debts at `now` into the report of the next request, and returns their number.
    pub(super) fn report(&mut self, quota: Quota, now: Duration) -> i64 {
        self.reported = self.debts.owed(quota, now);
        self.debts = Debts { since: now, ..Debts::default() };
        self.reported
    }

    /// Records the answer to the request in flight.
    pub(super) fn answered(&mut self, grant: LeaseGrant, now: Duration) {
        self.reported = 0;
        self.answered_at = Some(now);
        let nothing = grant.granted == 0 && grant.left == 0;
        self.exhausted_until = nothing.then(|| now + grant.wait);
        self.recheck_at = now + grant.wait.min(REFUSAL_TIME);
    }

    /// Records that the request in flight got no answer: what it reported is still owed.
    pub(super) fn not_answered(&mut self) {
        self.debts.add(std::mem::take(&mut self.reported));
    }
}

impl Debts {
    /// Adds cells to the current period; a negative number returns cells.
    pub(super) fn add(&mut self, cells: i64) {
        self.current += cells;
    }

    /// Returns the cells that are owed at `now`.
    pub(super) fn owed(&mut self, quota: Quota, now: Duration) -> i64 {
        let refill = quota.refill();
        if now >= self.since + 2 * refill {
            *self = Self { since: now, ..Self::default() };
        } else if now >= self.since + refill {
            let since = self.since + refill;
            *self = Self { since, last: self.current, current: 0 };
        }
        self.last + self.current
    }
}
