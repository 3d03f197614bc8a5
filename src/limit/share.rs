//! One quota of a fleet, as one of its nodes has it: a pure state, callers pass `now`.
//!
//! The quota itself is counted elsewhere, once for all nodes ([`super::desk`]). A node spends cells
//! that were debited there in advance, and asks for more before they are gone; without any it may
//! spend a few on credit, which are debited afterwards whatever is left. So no request waits, and
//! what all nodes together spend is over the quota by no more than what they have on credit.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::quota::Quota;

/// How long cells that were debited in advance may be spent. What is not is given back.
const VALID: Duration = Duration::from_secs(1);
/// How much of a second's cells all nodes together hold in advance: enough for the time between
/// two answers of the ledger, and no more than that can be spent late.
const IN_ADVANCE: Duration = Duration::from_millis(200);
/// What may be spent on credit where nothing is left, as far as anybody knows.
const CREDIT_MIN: u32 = 2;
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
}

#[derive(Debug, Default)]
pub struct Share {
    purse: Purse,
    /// What the ledger had left when it last answered.
    left: AtomicU32,
    /// Cells that somebody waits for.
    wanted: AtomicU32,
    /// A claim is waiting to be sent, or under way.
    pub(super) claimed: AtomicBool,
    account: Mutex<Account>,
}

#[derive(Debug, Default)]
struct Account {
    /// Not debited yet.
    owed: i64,
    /// Under way.
    reported: i64,
    /// When the ledger last answered.
    heard: Option<Duration>,
    /// By its last answer there is nothing until then.
    nothing_until: Duration,
}

/// Cells that may be spent until some time, in one word: a hit takes no lock for them.
#[derive(Debug, Default)]
struct Purse(AtomicU64);

const CELL_BITS: u32 = 24;
const CELLS_MAX: u64 = (1 << CELL_BITS) - 1;

impl Purse {
    fn unpack(word: u64) -> (Duration, u64) {
        (Duration::from_millis(word >> CELL_BITS), word & CELLS_MAX)
    }

    /// Takes one: how many are left.
    fn take(&self, now: Duration) -> Option<u64> {
        let taken = self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, |word| {
            let (until, cells) = Self::unpack(word);
            (cells > 0 && now < until).then(|| word - 1)
        });
        taken.ok().map(|word| Self::unpack(word).1 - 1)
    }

    fn cells(&self, now: Duration) -> u32 {
        let (until, cells) = Self::unpack(self.0.load(Ordering::Acquire));
        if now < until { u32::try_from(cells).unwrap_or(u32::MAX) } else { 0 }
    }

    /// Takes out all that were there, spendable or not.
    fn empty(&self) -> u64 {
        Self::unpack(self.0.swap(0, Ordering::AcqRel)).1
    }

    fn fill(&self, cells: u64, until: Duration) {
        let until = u64::try_from(until.as_millis()).unwrap_or(u64::MAX >> CELL_BITS);
        self.0.store(until << CELL_BITS | cells.min(CELLS_MAX), Ordering::Release);
    }
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
        let nothing = account.nothing_until.saturating_sub(now);
        if !nothing.is_zero() {
            // It has been asked. Who waits will ask again in time.
            return (Spent::Not { wait: nothing }, false);
        }
        let left = account.left(self.left.load(Ordering::Relaxed), terms.quota, now);
        let on_credit = account.owed.max(0) + account.reported.max(0);
        let credit = i64::from(terms.credit(left)) - on_credit;
        if credit > 0 {
            account.owed += 1;
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
        self.account.lock().nothing_until.saturating_sub(now).max(Duration::from_millis(5))
    }

    /// Whether there is none here, and there may be some.
    pub fn is_to_be_asked(&self, now: Duration) -> bool {
        self.purse.cells(now) == 0 && self.account.lock().nothing_until <= now
    }

    /// So many wait for a cell.
    pub fn want(&self, cells: u32) {
        self.wanted.store(cells, Ordering::Relaxed);
    }

    /// Whether it is as if it had never been used.
    pub(super) fn is_idle(&self, quota: Quota, now: Duration) -> bool {
        let account = self.account.lock();
        let is_settled = account.owed <= 0 && account.reported == 0;
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
                account.owed -= unused;
            }
        }
        account.reported = std::mem::take(&mut account.owed);
        let wanted = terms.in_advance().max(self.wanted.load(Ordering::Relaxed));
        let wanted = wanted.min(terms.quota.burst.get());
        let asked = wanted.saturating_sub(self.purse.cells(now));
        Debit { asked, owed: account.reported }
    }

    /// Takes the answer to what was sent at `sent`.
    pub fn settle(&self, grant: Grant, sent: Duration, now: Duration) {
        let mut account = self.account.lock();
        account.reported = 0;
        account.heard = Some(now);
        account.nothing_until =
            if grant.granted + grant.left == 0 { now + grant.wait } else { now };
        self.left.store(grant.left, Ordering::Relaxed);
        if grant.granted > 0 {
            let cells = if self.purse.cells(now) > 0 { self.purse.empty() } else { 0 };
            self.purse.fill(cells + u64::from(grant.granted), sent + VALID);
        }
        self.claimed.store(false, Ordering::Release);
    }

    /// There was no answer: what is owed is still owed.
    pub fn unsettled(&self) {
        let mut account = self.account.lock();
        account.owed += std::mem::take(&mut account.reported);
        self.claimed.store(false, Ordering::Release);
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
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;
    use crate::limit::ledger::Ledger;

    const NOW: Duration = Duration::from_secs(1000);

    fn terms(per_second: u32, burst: u32, nodes: u32) -> Terms {
        let quota = Quota::new(per_second, burst).unwrap();
        Terms { quota, nodes, credit: Credit::Allowed }
    }

    fn spend(share: &Share, terms: Terms, now: Duration) -> bool {
        matches!(share.spend(terms, now).0, Spent::Cell { .. })
    }

    #[test]
    fn a_quota_that_nobody_has_used_is_there_at_once_in_equal_parts() {
        for (nodes, expected) in [(1, 20), (2, 10), (5, 4), (20, 2)] {
            let (share, terms) = (Share::default(), terms(5, 20, nodes));
            let at_once = (0..100).filter(|_| spend(&share, terms, NOW)).count();
            assert_eq!(at_once, expected, "{nodes} nodes");
        }
    }

    #[test]
    fn nothing_leaves_on_credit_where_there_is_none() {
        let (share, terms) =
            (Share::default(), Terms { credit: Credit::None, ..terms(40, 100, 5) });
        assert!(!spend(&share, terms, NOW));
        let debit = share.debit(terms, NOW);
        assert_eq!(debit, Debit { asked: 1, owed: 0 });
        share.want(7);
        assert_eq!(share.debit(terms, NOW).asked, 7);
        let wait = Duration::ZERO;
        share.settle(Grant { granted: 7, left: 93, wait }, NOW, NOW);
        assert_eq!((0..10).filter(|_| spend(&share, terms, NOW)).count(), 7);
    }

    #[test]
    fn a_refusal_is_remembered_and_nobody_is_asked_again_before_it_is_over() {
        let (share, terms) = (Share::default(), terms(10, 10, 2));
        let wait = Duration::from_millis(300);
        share.settle(Grant { granted: 0, left: 0, wait }, NOW, NOW);
        assert_eq!(share.spend(terms, NOW), (Spent::Not { wait }, false));
        let later = NOW + wait;
        assert!(spend(&share, terms, later), "what has come back may be spent on credit");
    }

    #[test]
    fn what_was_not_spent_in_time_is_given_back() {
        let (share, terms) = (Share::default(), terms(100, 100, 2));
        assert!(spend(&share, terms, NOW));
        assert_eq!(share.debit(terms, NOW), Debit { asked: 10, owed: 1 });
        share.settle(Grant { granted: 10, left: 89, wait: Duration::ZERO }, NOW, NOW);
        assert!(spend(&share, terms, NOW));
        let later = NOW + VALID;
        assert!(spend(&share, terms, later), "on credit");
        assert_eq!(share.debit(terms, later), Debit { asked: 10, owed: 1 - 9 });
    }

    #[test]
    fn what_nobody_has_answered_is_still_owed() {
        let (share, terms) = (Share::default(), terms(5, 20, 5));
        let spent = || (0..10).filter(|_| spend(&share, terms, NOW)).count();
        assert_eq!(spent(), 4);
        assert_eq!(share.debit(terms, NOW).owed, 4);
        assert_eq!(spent(), 0, "what is under way counts");
        share.unsettled();
        assert_eq!((spent(), share.debit(terms, NOW).owed), (0, 4));
    }

    /// One node's answer, under way.
    struct Answer {
        at: Duration,
        sent: Duration,
        node: usize,
        grant: Grant,
    }

    /// Runs nodes that spend whatever they may, for so long: when they did.
    fn spent_by_all(
        terms: Terms,
        delay: Duration,
        millis: u64,
        mut asks: impl FnMut(u64, usize) -> u32,
    ) -> Vec<Duration> {
        let shares: Vec<_> = (0..terms.nodes).map(|_| Share::default()).collect();
        let (mut ledger, mut spent) = (Ledger::default(), Vec::new());
        let mut answers: VecDeque<Answer> = VecDeque::new();
        for milli in 0..millis {
            let now = NOW + Duration::from_millis(milli);
            while let Some(answer) = answers.pop_front_if(|answer| answer.at <= now) {
                shares[answer.node].settle(answer.grant, answer.sent, now);
            }
            for (node, share) in shares.iter().enumerate() {
                for _ in 0..asks(milli, node) {
                    let (cell, more) = share.spend(terms, now);
                    if matches!(cell, Spent::Cell { .. }) {
                        spent.push(now);
                    }
                    if more && milli % 20 == 0 && !share.claimed.swap(true, Ordering::Relaxed) {
                        let grant = ledger.debit(terms.quota, share.debit(terms, now), now);
                        answers.push_back(Answer { at: now + delay, sent: now, node, grant });
                    }
                }
            }
        }
        spent
    }

    #[test]
    fn who_asks_for_much_more_gets_the_quota_and_little_over_it() {
        for nodes in [1, 3, 5] {
            let terms = terms(200, 100, nodes);
            let spent = spent_by_all(terms, Duration::from_millis(2), 10_000, |_, _| 5);
            let whole = 100 + 200 * 10;
            assert!(spent.len() >= whole - 60, "{nodes} nodes: {}", spent.len());
            assert!(spent.len() <= whole + 2 * 5, "{nodes} nodes: {}", spent.len());
        }
    }

    proptest! {
        /// However requests come: in any time all nodes together spend no more than the burst,
        /// the rate for that time and a second more, and what each may have on credit.
        #[test]
        fn the_quota_is_exceeded_by_no_more_than_is_said(
            per_second in 1..300_u32,
            burst in 1..200_u32,
            nodes in 1..6_u32,
            delay in 0..15_u64,
            seed: u64,
        ) {
            let terms = terms(per_second, burst, nodes);
            let mut rng = fastrand::Rng::with_seed(seed);
            let busy: Vec<_> = (0..nodes).map(|_| rng.u32(1..200)).collect();
            let mut quiet = vec![false; nodes as usize];
            let delay = Duration::from_millis(delay);
            let spent = spent_by_all(terms, delay, 4000, |milli, node| {
                if milli % 500 == 0 {
                    quiet[node] = rng.bool();
                }
                u32::from(!quiet[node] && rng.u32(..200) < busy[node]) * rng.u32(1..20)
            });
            let credit = nodes * (burst / nodes).max(CREDIT_MIN).min(burst);
            for (place, first) in spent.iter().enumerate().step_by(7) {
                for (more, last) in spent[place..].iter().enumerate().step_by(11) {
                    let seconds = (last.saturating_sub(*first) + VALID).as_secs_f64();
                    let most = f64::from(burst + credit) + f64::from(per_second) * seconds;
                    let more = u32::try_from(more).unwrap();
                    prop_assert!(f64::from(more) < most + 1.0, "{more} in {seconds} s, of {most}");
                }
            }
        }
    }
}
