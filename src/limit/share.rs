//! Quota lease: one node's part in a quota that its fleet shares. Pure state; callers pass `now`.
//!
//! The quota is counted once for all nodes, in the fleet's ledger ([`super::desk`]). A node spends
//! cells that were debited there in advance, and requests more before they are gone. Without any it
//! may spend a few on credit; the ledger debits those afterwards, even if none are left. So no
//! request waits for the ledger. All nodes together exceed the quota by no more than their credit.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::purse::Purse;
use super::quota::Quota;

/// Time for which leased cells may be spent. The rest is returned to the ledger.
const VALID: Duration = Duration::from_secs(1);
/// Rate, as a time, that all nodes together lease in advance. It covers the time between two
/// answers of the ledger, and limits what can be spent late.
const IN_ADVANCE: Duration = Duration::from_millis(200);
/// Least credit of a node, in cells, while any cell of the quota is left as far as known.
const CREDIT_MIN: u32 = 2;
/// Longest time for which a refusal is believed without a new request: quotas change.
const BELIEVED: Duration = Duration::from_secs(1);
/// Wait of a caller that is over its credit: by then the ledger has answered.
const ANSWERED: Duration = Duration::from_millis(20);

/// Terms of a lease at one time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Terms {
    pub quota: Quota,
    /// Number of nodes that share the quota.
    pub nodes: u32,
    pub credit: Credit,
}

/// Whether a node may spend cells before they are debited.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Credit {
    Allowed,
    None,
}

/// Result of spending a cell.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Spent {
    /// One cell was spent. `left`: cells that could be spent now, as far as this node knows.
    Cell { left: u32 },
    /// No cell is left, or none is here yet.
    Not { wait: Duration },
}

/// The ledger's answer to a lease request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Grant {
    /// Cells that the node may spend from now on.
    pub granted: u32,
    /// Cells that are left in the ledger.
    pub left: u32,
    /// Time until the ledger would grant one more cell.
    pub wait: Duration,
}

/// Cells that a lease request asks the ledger to debit.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Debit {
    /// Cells to lease in advance, as far as there are any.
    pub asked: u32,
    /// Cells that were spent already. A negative number returns cells that were not needed.
    pub owed: i64,
    /// Cells that `asked` must leave in the ledger for more urgent calls.
    pub reserve: u32,
}

/// Quota lease of one node.
#[derive(Debug, Default)]
pub struct Share {
    purse: Purse,
    /// Cells that the ledger had left when it last answered.
    left: AtomicU32,
    /// Number of calls that wait for a cell.
    wanted: AtomicU32,
    /// Cells that these calls leave to more urgent ones.
    reserve: AtomicU32,
    /// Whether a lease request is queued or in flight.
    pub(super) claimed: AtomicBool,
    account: Mutex<Account>,
}

/// Account of a node with the ledger.
#[derive(Debug, Default)]
struct Account {
    /// Cells that were spent and not yet reported to the ledger.
    debts: Debts,
    /// Cells that are reported by the request in flight.
    reported: i64,
    /// Time of the ledger's last answer.
    heard: Option<Duration>,
    /// Time until which no cell is left, by the ledger's last answer; `None` if some were left.
    nothing_until: Option<Duration>,
    /// Time at which a refusal is checked with the ledger again.
    ask_again: Duration,
}

/// Debts: cells that were spent and not debited. Old debts expire, since their cells have come back
/// meanwhile.
#[derive(Debug, Default)]
struct Debts {
    /// Cells spent in the current period. A period is the time in which a whole burst comes back.
    current: i64,
    /// Start of the current period.
    since: Duration,
    /// Cells spent in the period before.
    last: i64,
}

impl Terms {
    /// Returns the number of cells that a node leases in advance.
    fn in_advance(self) -> u32 {
        let of_all = IN_ADVANCE.as_nanos() / self.quota.interval().as_nanos().max(1);
        let own = u32::try_from(of_all / u128::from(self.nodes.max(1))).unwrap_or(u32::MAX);
        // Without credit, a node that leased nothing could not spend anything.
        let least = u32::from(self.credit == Credit::None);
        own.clamp(least, self.quota.burst.get())
    }

    /// Returns the number of cells that may be spent before they are debited, if `left` are left.
    fn credit(self, left: u32) -> u32 {
        match self.credit {
            Credit::None => 0,
            Credit::Allowed if left == 0 => 0,
            Credit::Allowed => {
                (left / self.nodes.max(1)).max(CREDIT_MIN).min(self.quota.burst.get())
            }
        }
    }
}

impl Share {
    /// Spends a cell, if there is one. Also returns whether to request more.
    pub fn spend(&self, terms: Terms, now: Duration) -> (Spent, bool) {
        if let Some(cells) = self.purse.take(now) {
            let cells = u32::try_from(cells).unwrap_or(u32::MAX);
            let left = cells.saturating_add(self.left.load(Ordering::Relaxed));
            let left = left.min(terms.quota.burst.get());
            return (Spent::Cell { left }, cells < terms.in_advance().div_ceil(2));
        }
        let mut account = self.account.lock();
        if let Some(until) = account.nothing_until.filter(|until| now < *until) {
            return (Spent::Not { wait: until.saturating_sub(now) }, now >= account.ask_again);
        }
        // After the wait of a refusal one cell has come back, even if rounding to whole intervals
        // hides it.
        let least = u32::from(account.nothing_until.is_some());
        let left = account.left(self.left.load(Ordering::Relaxed), terms.quota, now).max(least);
        let owed = account.debts.owed(terms.quota, now);
        let on_credit = owed.max(0) + account.reported.max(0);
        let credit = i64::from(terms.credit(left)) - on_credit;
        if credit > 0 {
            account.debts.current += 1;
            let spent = u32::try_from(on_credit + 1).unwrap_or(u32::MAX);
            return (Spent::Cell { left: left.saturating_sub(spent) }, true);
        }
        (Spent::Not { wait: ANSWERED }, true)
    }

    /// Returns the number of cells that are left in the quota as far as known, leased ones
    /// included.
    pub fn available(&self, terms: Terms, now: Duration) -> u32 {
        let left = {
            let account = self.account.lock();
            account.left(self.left.load(Ordering::Relaxed), terms.quota, now)
        };
        self.purse.cells(now).saturating_add(left).min(terms.quota.burst.get())
    }

    /// Returns the time until there may be a cell; zero if one is here.
    pub fn wait(&self, now: Duration) -> Duration {
        if self.purse.cells(now) > 0 {
            return Duration::ZERO;
        }
        let nothing_until = self.account.lock().nothing_until.unwrap_or_default();
        nothing_until.saturating_sub(now).max(ANSWERED / 4)
    }

    /// Returns whether to request cells: none is here, and the ledger may have some.
    pub fn is_to_be_asked(&self, now: Duration) -> bool {
        let account = self.account.lock();
        self.purse.cells(now) == 0
            && account.nothing_until.is_none_or(|until| now >= until.min(account.ask_again))
    }

    /// Records that `cells` calls wait, and leave `reserve` cells to more urgent calls.
    pub fn want(&self, cells: u32, reserve: u32) {
        self.wanted.store(cells, Ordering::Relaxed);
        self.reserve.store(reserve, Ordering::Relaxed);
    }

    /// Records a cell that was spent of this node's own part: the ledger must debit it too.
    pub fn owe(&self, quota: Quota, now: Duration) {
        let mut account = self.account.lock();
        account.debts.owed(quota, now);
        account.debts.current += 1;
    }

    /// Returns whether the lease equals one that was never used.
    pub(super) fn is_idle(&self, quota: Quota, now: Duration) -> bool {
        let mut account = self.account.lock();
        let is_settled = account.debts.owed(quota, now) <= 0 && account.reported == 0;
        let is_old = account.heard.is_none_or(|heard| now > heard + quota.refill() + VALID);
        is_settled && is_old && self.purse.cells(now) == 0
    }

    /// Returns what the next request has to debit.
    pub(super) fn debit(&self, terms: Terms, now: Duration) -> Debit {
        let mut account = self.account.lock();
        if self.purse.cells(now) == 0 {
            // Leased cells that expired unused are returned. If they were reported later, the
            // ledger would count them as new cells.
            let unused = i64::try_from(self.purse.empty()).unwrap_or(i64::MAX);
            if account.heard.is_some_and(|heard| now < heard + 2 * VALID) {
                account.debts.current -= unused;
            }
        }
        account.reported = account.debts.owed(terms.quota, now);
        account.debts = Debts { since: now, ..Debts::default() };
        let wanted = terms.in_advance().max(self.wanted.load(Ordering::Relaxed));
        let wanted = wanted.min(terms.quota.burst.get());
        let asked = wanted.saturating_sub(self.purse.cells(now));
        let reserve = self.reserve.load(Ordering::Relaxed);
        Debit { asked, owed: account.reported, reserve }
    }

    /// Applies the answer to a request sent at `sent`. Returns whether more must be debited.
    #[must_use]
    pub fn settle(&self, terms: Terms, grant: Grant, sent: Duration, now: Duration) -> bool {
        let mut account = self.account.lock();
        account.reported = 0;
        account.heard = Some(now);
        let nothing = grant.granted == 0 && grant.left == 0;
        account.nothing_until = nothing.then(|| now + grant.wait);
        account.ask_again = now + grant.wait.min(BELIEVED);
        self.left.store(grant.left, Ordering::Relaxed);
        if grant.granted > 0 {
            let is_valid = self.purse.cells(now) > 0;
            let kept = self.purse.empty();
            if !is_valid {
                account.debts.current -= i64::try_from(kept).unwrap_or(i64::MAX);
            }
            let granted = u64::from(grant.granted.min(terms.quota.burst.get()));
            self.purse.fill(if is_valid { kept + granted } else { granted }, sent + VALID);
        }
        self.claimed.store(false, Ordering::Release);
        account.debts.owed(terms.quota, now) > 0
    }

    /// Records that no answer came: debts stay debts.
    pub fn unsettled(&self) {
        let mut account = self.account.lock();
        account.debts.current += std::mem::take(&mut account.reported);
        self.claimed.store(false, Ordering::Release);
    }
}

impl Debts {
    /// Returns the cells that are owed at `now`.
    fn owed(&mut self, quota: Quota, now: Duration) -> i64 {
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

impl Account {
    /// Returns the cells that are left in the quota as far as known: the ledger's last number, plus
    /// what has come back since. What other nodes spend meanwhile is not known.
    fn left(&self, left: u32, quota: Quota, now: Duration) -> u32 {
        let Some(heard) = self.heard else { return quota.burst.get() };
        let back = now.saturating_sub(heard).as_nanos() / quota.interval().as_nanos().max(1);
        left.saturating_add(u32::try_from(back).unwrap_or(u32::MAX)).min(quota.burst.get())
    }
}

#[cfg(test)]
mod tests;
