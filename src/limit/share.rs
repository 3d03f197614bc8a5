//! One quota of a fleet, as one of its nodes has it: a pure state, callers pass `now`.
//!
//! The quota itself is counted elsewhere, once for all nodes ([`super::desk`]). A node spends cells
//! that were debited there in advance, and asks for more before they are gone; without any it may
//! spend a few on credit, which are debited afterwards whatever is left. So no request waits, and
//! what all nodes together spend is over the quota by no more than what they have on credit.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::purse::Purse;
use super::quota::Quota;

/// How long cells that were debited in advance may be spent. What is not is given back.
const VALID: Duration = Duration::from_secs(1);
/// How much of a second's cells all nodes together hold in advance: enough for the time between
/// two answers of the ledger, and no more than that can be spent late.
const IN_ADVANCE: Duration = Duration::from_millis(200);
/// What may be spent on credit where nothing is left, as far as anybody knows.
const CREDIT_MIN: u32 = 2;
/// How long a refusal is believed without asking again: quotas change.
const BELIEVED: Duration = Duration::from_secs(1);
/// How soon whoever is over its credit may ask again: by then the ledger has answered.
const ANSWERED: Duration = Duration::from_millis(20);

/// What holds for a share at the time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Terms {
    pub quota: Quota,
    /// That the quota is shared by.
    pub nodes: u32,
    pub credit: Credit,
}

/// Whether cells may be spent before they are debited.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Credit {
    Allowed,
    None,
}

/// What came of spending a cell.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Spent {
    /// `left`: cells that could be spent now, as far as this node knows.
    Cell { left: u32 },
    /// None is left, or none is here yet.
    Not { wait: Duration },
}

/// What the ledger says to a claim.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Grant {
    /// Cells that are the node's from now on.
    pub granted: u32,
    /// Cells that are still there.
    pub left: u32,
    /// Until one more cell would be granted.
    pub wait: Duration,
}

/// Cells to be debited.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Debit {
    /// In advance, as far as there are any.
    pub asked: u32,
    /// Spent already; less than none were not needed after all.
    pub owed: i64,
    /// To be left to others by what is asked for.
    pub reserve: u32,
}

#[derive(Debug, Default)]
pub struct Share {
    purse: Purse,
    /// What the ledger had left when it last answered.
    left: AtomicU32,
    /// Cells that somebody waits for, and how many they leave to others.
    wanted: AtomicU32,
    reserve: AtomicU32,
    /// A claim is waiting to be sent, or under way.
    pub(super) claimed: AtomicBool,
    account: Mutex<Account>,
}

#[derive(Debug, Default)]
struct Account {
    /// Not debited yet.
    debts: Debts,
    /// Under way.
    reported: i64,
    /// When the ledger last answered.
    heard: Option<Duration>,
    /// By its last answer there is nothing until then; `None`: there was something.
    nothing_until: Option<Duration>,
    ask_again: Duration,
}

/// Cells that are owed, as long as they count: those of long ago have come back meanwhile.
#[derive(Debug, Default)]
struct Debts {
    /// Of the time in which a whole burst comes back, that began then.
    current: i64,
    since: Duration,
    /// Of the one before.
    last: i64,
}

impl Terms {
    /// What a node holds in advance.
    fn in_advance(self) -> u32 {
        let of_all = IN_ADVANCE.as_nanos() / self.quota.interval().as_nanos().max(1);
        let own = u32::try_from(of_all / u128::from(self.nodes.max(1))).unwrap_or(u32::MAX);
        // Who has no credit could not spend anything.
        let least = u32::from(self.credit == Credit::None);
        own.clamp(least, self.quota.burst.get())
    }

    /// What may be spent before it is debited, where so many are left.
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
    /// Spends a cell, if there is one; and whether more should be asked for.
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
        // After a refusal one has come back by then, whatever whole intervals say.
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

    /// How many cells of the quota are left, as far as is known, those here included.
    pub fn available(&self, terms: Terms, now: Duration) -> u32 {
        let left = {
            let account = self.account.lock();
            account.left(self.left.load(Ordering::Relaxed), terms.quota, now)
        };
        self.purse.cells(now).saturating_add(left).min(terms.quota.burst.get())
    }

    /// How long until there may be a cell, if none is here now.
    pub fn wait(&self, now: Duration) -> Duration {
        if self.purse.cells(now) > 0 {
            return Duration::ZERO;
        }
        let nothing_until = self.account.lock().nothing_until.unwrap_or_default();
        nothing_until.saturating_sub(now).max(ANSWERED / 4)
    }

    /// Whether there is none here, and there may be some.
    pub fn is_to_be_asked(&self, now: Duration) -> bool {
        let account = self.account.lock();
        self.purse.cells(now) == 0
            && account.nothing_until.is_none_or(|until| now >= until.min(account.ask_again))
    }

    /// So many wait for a cell, and leave so many to others.
    pub fn want(&self, cells: u32, reserve: u32) {
        self.wanted.store(cells, Ordering::Relaxed);
        self.reserve.store(reserve, Ordering::Relaxed);
    }

    /// A cell was spent of this node's own part: it counts all the same.
    pub fn owe(&self, quota: Quota, now: Duration) {
        let mut account = self.account.lock();
        account.debts.owed(quota, now);
        account.debts.current += 1;
    }

    /// Whether it is as if it had never been used.
    pub(super) fn is_idle(&self, quota: Quota, now: Duration) -> bool {
        let mut account = self.account.lock();
        let is_settled = account.debts.owed(quota, now) <= 0 && account.reported == 0;
        let is_old = account.heard.is_none_or(|heard| now > heard + quota.refill() + VALID);
        is_settled && is_old && self.purse.cells(now) == 0
    }

    /// What is to be debited now.
    pub(super) fn debit(&self, terms: Terms, now: Duration) -> Debit {
        let mut account = self.account.lock();
        if self.purse.cells(now) == 0 {
            // What nobody needed in time. What is told later than soon would count as new.
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

    /// Takes the answer to what was sent at `sent`. Whether there is something more to debit.
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

    /// There was no answer: what is owed is still owed.
    pub fn unsettled(&self) {
        let mut account = self.account.lock();
        account.debts.current += std::mem::take(&mut account.reported);
        self.claimed.store(false, Ordering::Release);
    }
}

impl Debts {
    /// What is owed at `now`.
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
    /// What is left of the whole quota, as far as is known: what the ledger said, and what has come
    /// back since. Nobody knows of others who spend meanwhile.
    fn left(&self, left: u32, quota: Quota, now: Duration) -> u32 {
        let Some(heard) = self.heard else { return quota.burst.get() };
        let back = now.saturating_sub(heard).as_nanos() / quota.interval().as_nanos().max(1);
        left.saturating_add(u32::try_from(back).unwrap_or(u32::MAX)).min(quota.burst.get())
    }
}

#[cfg(test)]
mod tests;
