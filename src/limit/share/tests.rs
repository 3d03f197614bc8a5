//! Tests of quota leases: what one node may spend, and by how much all nodes may exceed the quota.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;
use crate::limit::gcra::Gcra;

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
    let (share, terms) = (Share::default(), Terms { credit: Credit::None, ..terms(40, 100, 5) });
    assert!(!spend(&share, terms, NOW));
    let debit = share.debit(terms, NOW);
    assert_eq!(debit, Debit { asked: 1, owed: 0, reserve: 0 });
    share.want(7, 0);
    assert_eq!(share.debit(terms, NOW).asked, 7);
    let wait = Duration::ZERO;
    _ = share.settle(terms, Grant { granted: 7, left: 93, wait }, NOW, NOW);
    assert_eq!((0..10).filter(|_| spend(&share, terms, NOW)).count(), 7);
}

#[test]
fn a_refusal_is_remembered_and_nobody_is_asked_again_before_it_is_over() {
    let (share, terms) = (Share::default(), terms(10, 10, 2));
    let wait = Duration::from_millis(300);
    _ = share.settle(terms, Grant { granted: 0, left: 0, wait }, NOW, NOW);
    assert_eq!(share.spend(terms, NOW), (Spent::Not { wait }, false));
    let later = NOW + wait;
    assert!(spend(&share, terms, later), "what has come back may be spent on credit");
}

#[test]
fn what_was_not_spent_in_time_is_given_back() {
    let (share, terms) = (Share::default(), terms(100, 100, 2));
    assert!(spend(&share, terms, NOW));
    assert_eq!(share.debit(terms, NOW), Debit { asked: 10, owed: 1, reserve: 0 });
    _ = share.settle(terms, Grant { granted: 10, left: 89, wait: Duration::ZERO }, NOW, NOW);
    assert!(spend(&share, terms, NOW));
    let later = NOW + VALID;
    assert!(spend(&share, terms, later), "on credit");
    assert_eq!(share.debit(terms, later), Debit { asked: 10, owed: 1 - 9, reserve: 0 });
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

/// Answer of the ledger to one node, in flight.
struct Answer {
    at: Duration,
    sent: Duration,
    node: usize,
    grant: Grant,
}

/// Runs nodes that spend as much as they may for `millis` milliseconds. Returns the time of each
/// cell.
///
/// Lease requests travel as they do through `desk`. A request is queued with the cell that triggers
/// it, and sent with the next batch, whether or not requests arrive at that moment.
fn spent_by_all(
    terms: Terms,
    delay: Duration,
    millis: u64,
    mut asks: impl FnMut(u64, usize) -> u32,
) -> Vec<Duration> {
    let shares: Vec<_> = (0..terms.nodes).map(|_| Share::default()).collect();
    let (mut ledger, mut spent) = (Gcra::default(), Vec::new());
    let mut queued = vec![false; shares.len()];
    let mut answers: VecDeque<Answer> = VecDeque::new();
    for milli in 0..millis {
        let now = NOW + Duration::from_millis(milli);
        while let Some(answer) = answers.pop_front_if(|answer| answer.at <= now) {
            let share = &shares[answer.node];
            if share.settle(terms, answer.grant, answer.sent, now) {
                queued[answer.node] |= !share.claimed.swap(true, Ordering::Relaxed);
            }
        }
        for (node, share) in shares.iter().enumerate() {
            for _ in 0..asks(milli, node) {
                let (cell, more) = share.spend(terms, now);
                if matches!(cell, Spent::Cell { .. }) {
                    spent.push(now);
                }
                queued[node] |= more && !share.claimed.swap(true, Ordering::Relaxed);
            }
            if milli % 20 == 0 && std::mem::take(&mut queued[node]) {
                let grant = ledger.debit(terms.quota, share.debit(terms, now), now);
                answers.push_back(Answer { at: now + delay, sent: now, node, grant });
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

#[test]
fn a_refusal_is_asked_about_again_within_a_second_and_one_cell_is_there_when_it_is_over() {
    let (share, terms) = (Share::default(), terms(1, 100, 5));
    let wait = Duration::from_secs(100);
    _ = share.settle(terms, Grant { granted: 0, left: 0, wait }, NOW, NOW);
    let soon = NOW + BELIEVED;
    let left = wait.saturating_sub(BELIEVED);
    assert_eq!(share.spend(terms, soon), (Spent::Not { wait: left }, true));
    // The quota was raised meanwhile.
    let wait = Duration::from_micros(7);
    _ = share.settle(terms, Grant { granted: 0, left: 0, wait }, soon, soon);
    assert!(spend(&share, terms, soon + wait));
}

#[test]
fn what_is_spent_while_a_claim_is_under_way_is_claimed_next_and_not_for_ever() {
    let (share, terms) = (Share::default(), terms(10, 20, 5));
    assert!(spend(&share, terms, NOW));
    share.debit(terms, NOW);
    assert!(spend(&share, terms, NOW));
    let grant = Grant { granted: 0, left: 18, wait: Duration::ZERO };
    assert!(share.settle(terms, grant, NOW, NOW), "a cell is still owed");
    assert!(!share.is_idle(terms.quota, NOW));
    let long = NOW + 3 * terms.quota.refill();
    assert!(share.is_idle(terms.quota, long), "it has come back meanwhile");
    assert_eq!(share.debit(terms, long).owed, 0);
}

#[test]
fn cells_of_ones_own_part_are_owed_as_well() {
    let (share, terms) = (Share::default(), terms(10, 20, 5));
    (0..7).for_each(|_| share.owe(terms.quota, NOW));
    assert_eq!(share.debit(terms, NOW).owed, 7);
}

/// Checks the bound for random requests. In any time all nodes together spend at most the burst,
/// plus the rate for that time and one second more, plus the credit of each node.
fn check_bound(terms: Terms, delay: Duration, seed: u64) -> Result<(), TestCaseError> {
    let Terms { quota, nodes, .. } = terms;
    let mut rng = fastrand::Rng::with_seed(seed);
    let busy: Vec<_> = (0..nodes).map(|_| rng.u32(1..200)).collect();
    let mut quiet = vec![false; nodes as usize];
    let spent = spent_by_all(terms, delay, 4000, |milli, node| {
        if milli % 500 == 0 {
            quiet[node] = rng.bool();
        }
        u32::from(!quiet[node] && rng.u32(..200) < busy[node]) * rng.u32(1..20)
    });
    let burst = quota.burst.get();
    let credit = nodes * (burst / nodes).max(CREDIT_MIN).min(burst);
    for (place, first) in spent.iter().enumerate().step_by(7) {
        for (more, last) in spent[place..].iter().enumerate().step_by(11) {
            let time = last.saturating_sub(*first) + VALID;
            let back = time.as_secs_f64() / quota.interval().as_secs_f64();
            let (more, most) = (u32::try_from(more).unwrap(), f64::from(burst + credit) + back);
            prop_assert!(f64::from(more) < most + 1.0, "{more} in {time:?}, of {most}");
        }
    }
    Ok(())
}

#[test]
fn many_nodes_with_a_small_burst_pay_back_all_that_they_had_on_credit() {
    check_bound(terms(13, 2, 4), Duration::ZERO, 3_343_866_420_459_172_261).unwrap();
    check_bound(terms(152, 2, 5), Duration::ZERO, 5_756_428_842_385_299_479).unwrap();
}

proptest! {
    #[test]
    fn the_quota_is_exceeded_by_no_more_than_is_said(
        per_second in 1..300_u32,
        burst in 1..200_u32,
        nodes in 1..6_u32,
        delay in 0..15_u64,
        seed: u64,
    ) {
        check_bound(terms(per_second, burst, nodes), Duration::from_millis(delay), seed)?;
    }
}
