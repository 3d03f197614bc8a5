//! Quota lease: one node's part in a quota that its fleet shares. Pure state; callers pass `now`.
//!
//! The quota is counted once for all nodes, in the fleet's ledger ([`super::lease_queue`]). A node
//! spends cells that were debited there in advance, and requests more before they are gone. A
//! node that has no leased cells may spend a few on credit. The ledger debits them afterwards, even
//! if it has none left. So no request waits for the ledger. All nodes together exceed the quota by no more than their
//! credit and the cells of one `LEASE_TIME`.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::leased_cells::LeasedCells;
use super::ledger_account::LedgerAccount;
use super::terms::{CellCounts, LeaseGrant, LeaseTerms, SpendOutcome};
use crate::limit::quota::Quota;

/// Time for which leased cells may be spent. The rest is returned to the ledger.
pub(super) const LEASE_TIME: Duration = Duration::from_secs(1);
/// Wait of a caller that is over its credit: by then the ledger has usually answered.
const LEDGER_WAIT: Duration = Duration::from_millis(20);

/// Quota lease of one node.
#[derive(Debug, Default)]
pub struct QuotaLease {
    cells: LeasedCells,
    /// Cells that the ledger had left when it last answered.
    left: AtomicU32,
    /// Number of calls that wait for a cell.
    waiting_calls: AtomicU32,
    /// Cells that these calls leave to more urgent ones.
    reserve: AtomicU32,
    /// Whether a lease request is queued or in flight.
    pub(super) is_requested: AtomicBool,
    account: Mutex<LedgerAccount>,
}

impl QuotaLease {
    /// Spends a cell, if there is one. Also returns whether to request more.
    pub fn spend(&self, terms: LeaseTerms, now: Duration) -> (SpendOutcome, bool) {
        if let Some(cells) = self.cells.take(now) {
            let cells = u32::try_from(cells).unwrap_or(u32::MAX);
            let left = cells.saturating_add(self.left.load(Ordering::Relaxed));
            let left = left.min(terms.quota.burst.get());
            return (SpendOutcome::Spent { left }, cells < terms.in_advance().div_ceil(2));
        }
        let mut account = self.account.lock();
        if let Some(until) = account.exhausted_until.filter(|until| now < *until) {
            let wait = until.saturating_sub(now);
            return (SpendOutcome::Refused { wait }, now >= account.recheck_at);
        }
        // The wait that a refusal stated is over, so one cell has come back, even if rounding to
        // whole intervals hides it.
        let least = u32::from(account.exhausted_until.is_some());
        let left = account.left(self.left.load(Ordering::Relaxed), terms.quota, now).max(least);
        let owed = account.debts.owed(terms.quota, now);
        let on_credit = owed.max(0) + account.reported.max(0);
        let credit = i64::from(terms.credit(left)) - on_credit;
        if credit > 0 {
            account.debts.add(1);
            let spent = u32::try_from(on_credit + 1).unwrap_or(u32::MAX);
            return (SpendOutcome::Spent { left: left.saturating_sub(spent) }, true);
        }
        (SpendOutcome::Refused { wait: LEDGER_WAIT }, true)
    }

    /// Returns the number of cells that are left in the quota as far as known, leased ones
    /// included.
    pub fn available(&self, terms: LeaseTerms, now: Duration) -> u32 {
        let left = {
            let account = self.account.lock();
            account.left(self.left.load(Ordering::Relaxed), terms.quota, now)
        };
        self.cells.count(now).saturating_add(left).min(terms.quota.burst.get())
    }

    /// Returns the time until there may be a cell; zero if one is here.
    pub fn wait(&self, now: Duration) -> Duration {
        if self.cells.count(now) > 0 {
            return Duration::ZERO;
        }
        let exhausted_until = self.account.lock().exhausted_until.unwrap_or_default();
        exhausted_until.saturating_sub(now).max(LEDGER_WAIT / 4)
    }

    /// Returns whether to request cells: none is here, and the ledger may have some.
    pub fn needs_request(&self, now: Duration) -> bool {
        let account = self.account.lock();
        self.cells.count(now) == 0
            && account.exhausted_until.is_none_or(|until| now >= until.min(account.recheck_at))
    }

    /// Sets the number of calls that wait for a cell, and the cells that they leave to more urgent
    /// calls.
    pub fn set_waiting_calls(&self, calls: u32, reserve: u32) {
        self.waiting_calls.store(calls, Ordering::Relaxed);
        self.reserve.store(reserve, Ordering::Relaxed);
    }

    /// Records a cell that was spent of this node's own part: the ledger must debit it too.
    pub fn add_debt(&self, quota: Quota, now: Duration) {
        let mut account = self.account.lock();
        account.debts.owed(quota, now);
        account.debts.add(1);
    }

    /// Returns whether the lease equals one that was never used.
    pub(super) fn is_idle(&self, quota: Quota, now: Duration) -> bool {
        let mut account = self.account.lock();
        let has_no_debt = account.debts.owed(quota, now) <= 0 && account.reported == 0;
        let is_old = account.answered_at.is_none_or(|at| now > at + quota.refill() + LEASE_TIME);
        has_no_debt && is_old && self.cells.count(now) == 0
    }

    /// Begins a lease request. Returns the cells that it has to debit.
    pub(super) fn begin_request(&self, terms: LeaseTerms, now: Duration) -> CellCounts {
        let mut account = self.account.lock();
        if self.cells.count(now) == 0 {
            // Leased cells that expired unused are returned. If they were reported later, the
            // ledger would count them as new cells.
            let unused = i64::try_from(self.cells.clear()).unwrap_or(i64::MAX);
            if account.answered_at.is_some_and(|at| now < at + 2 * LEASE_TIME) {
                account.debts.add(-unused);
            }
        }
        let owed = account.report(terms.quota, now);
        let wanted = terms.in_advance().max(self.waiting_calls.load(Ordering::Relaxed));
        let wanted = wanted.min(terms.quota.burst.get());
        let requested = wanted.saturating_sub(self.cells.count(now));
        CellCounts { requested, owed, reserve: self.reserve.load(Ordering::Relaxed) }
    }

    /// Applies the answer to a request sent at `sent`. Returns whether more must be debited.
    #[must_use]
    pub fn apply_grant(
        &self,
        terms: LeaseTerms,
        grant: LeaseGrant,
        sent: Duration,
        now: Duration,
    ) -> bool {
        let mut account = self.account.lock();
        account.answered(grant, now);
        self.left.store(grant.left, Ordering::Relaxed);
        if grant.granted > 0 {
            let is_valid = self.cells.count(now) > 0;
            let kept = self.cells.clear();
            if !is_valid {
                account.debts.add(-i64::try_from(kept).unwrap_or(i64::MAX));
            }
            let granted = u64::from(grant.granted.min(terms.quota.burst.get()));
            self.cells.set(if is_valid { kept + granted } else { granted }, sent + LEASE_TIME);
        }
        self.is_requested.store(false, Ordering::Release);
        account.debts.owed(terms.quota, now) > 0
    }

    /// Records that the request in flight got no answer: what it reported is still owed.
    pub fn request_failed(&self) {
        self.account.lock().not_answered();
        self.is_requested.store(false, Ordering::Release);
    }
}
