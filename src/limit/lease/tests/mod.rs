//! Tests of quota leases: what one node may spend, and by how much all nodes may exceed the quota.

pub(crate) mod in_memory_ledger;

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::time::Duration;

use proptest::prelude::*;

use super::ledger_account::REFUSAL_TIME;
use super::quota_lease::{LEASE_TIME, QuotaLease};
use super::terms::{CREDIT_MIN, CellCounts, Credit, LeaseGrant, LeaseTerms, SpendOutcome};
use crate::limit::quota::Quota;
use in_memory_ledger::InMemoryLedger;

const NOW: Duration = Duration::from_secs(1000);

fn terms(per_second: u32, burst: u32, nodes: u32) -> LeaseTerms {
    let quota = Quota::new(per_second, burst).unwrap();
    LeaseTerms { quota, nodes, credit: Credit::Allowed }
}

fn spend(lease: &QuotaLease, terms: LeaseTerms, now: Duration) -> bool {
    matches!(lease.spend(terms, now).0, SpendOutcome::Spent { .. })
}

#[test]
fn an_unused_quota_can_be_spent_at_once_in_equal_parts() {
    for (nodes, expected) in [(1, 20), (2, 10), (5, 4), (20, 2)] {
        let (lease, terms) = (QuotaLease::default(), terms(5, 20, nodes));
        let at_once = (0..100).filter(|_| spend(&lease, terms, NOW)).count();
        assert_eq!(at_once, expected, "{nodes} nodes");
    }
}

#[test]
fn without_credit_only_granted_cells_are_spent() {
    let (lease, terms) =
        (QuotaLease::default(), LeaseTerms { credit: Credit::None, ..terms(40, 100, 5) });
    assert!(!spend(&lease, terms, NOW));
    let cells = lease.begin_request(terms, NOW);
    assert_eq!(cells, CellCounts { requested: 1, owed: 0, reserve: 0 });
    lease.set_waiting_calls(7, 0);
    assert_eq!(lease.begin_request(terms, NOW).requested, 7);
    let wait = Duration::ZERO;
    _ = lease.apply_grant(terms, LeaseGrant { granted: 7, left: 93, wait }, NOW, NOW);
    assert_eq!((0..10).filter(|_| spend(&lease, terms, NOW)).count(), 7);
}

#[test]
fn a_refusal_holds_without_another_request_until_its_wait_is_over() {
    let (lease, terms) = (QuotaLease::default(), terms(10, 10, 2));
    let wait = Duration::from_millis(300);
    _ = lease.apply_grant(terms, LeaseGrant { granted: 0, left: 0, wait }, NOW, NOW);
    assert_eq!(lease.spend(terms, NOW), (SpendOutcome::Refused { wait }, false));
    let later = NOW + wait;
    assert!(spend(&lease, terms, later), "what has come back may be spent on credit");
}

#[test]
fn leased_cells_that_expire_are_returned() {
    let (lease, terms) = (QuotaLease::default(), terms(100, 100, 2));
    assert!(spend(&lease, terms, NOW));
    assert_eq!(lease.begin_request(terms, NOW), CellCounts { requested: 10, owed: 1, reserve: 0 });
    _ = lease.apply_grant(
        terms,
        LeaseGrant { granted: 10, left: 89, wait: Duration::ZERO },
        NOW,
        NOW,
    );
    assert!(spend(&lease, terms, NOW));
    let later = NOW + LEASE_TIME;
    assert!(spend(&lease, terms, later), "on credit");
    assert_eq!(
        lease.begin_request(terms, later),
        CellCounts { requested: 10, owed: 1 - 9, reserve: 0 }
    );
}

#[test]
fn cells_of_an_unanswered_request_are_still_owed() {
    let (lease, terms) = (QuotaLease::default(), terms(5, 20, 5));
    let spent = || (0..10).filter(|_| spend(&lease, terms, NOW)).count();
    assert_eq!(spent(), 4);
    assert_eq!(lease.begin_request(terms, NOW).owed, 4);
    assert_eq!(spent(), 0, "what is under way counts");
    lease.request_failed();
    assert_eq!((spent(), lease.begin_request(terms, NOW).owed), (0, 4));
}

/// Answer of the ledger to one node, in flight.
struct LedgerAnswer {
    at: Duration,
    sent: Duration,
    node: usize,
    grant: LeaseGrant,
}

/// Runs nodes that spend as much as they may for `millis` milliseconds. Returns the time of each
/// cell.
///
/// Lease requests travel as they do through `lease_queue`. A request is queued with the cell that
/// triggers it, and sent with the next batch, whether or not cells are spent at that moment.
fn spent_by_all(
    terms: LeaseTerms,
    delay: Duration,
    millis: u64,
    mut requests: impl FnMut(u64, usize) -> u32,
) -> Vec<Duration> {
    let leases: Vec<_> = (0..terms.nodes).map(|_| QuotaLease::default()).collect();
    let (mut ledger, mut spent) = (InMemoryLedger::default(), Vec::new());
    let mut queued = vec![false; leases.len()];
    let mut answers: VecDeque<LedgerAnswer> = VecDeque::new();
    for milli in 0..millis {
        let now = NOW + Duration::from_millis(milli);
        while let Some(answer) = answers.pop_front_if(|answer| answer.at <= now) {
            let lease = &leases[answer.node];
            if lease.apply_grant(terms, answer.grant, answer.sent, now) {
                queued[answer.node] |= !lease.is_requested.swap(true, Ordering::Relaxed);
            }
        }
        for (node, lease) in leases.iter().enumerate() {
            for _ in 0..requests(milli, node) {
                let (cell, more) = lease.spend(terms, now);
                if matches!(cell, SpendOutcome::Spent { .. }) {
                    spent.push(now);
                }
                queued[node] |= more && !lease.is_requested.swap(true, Ordering::Relaxed);
            }
            if milli % 20 == 0 && std::mem::take(&mut queued[node]) {
                let grant = ledger.debit(terms.quota, lease.begin_request(terms, now), now);
                answers.push_back(LedgerAnswer { at: now + delay, sent: now, node, grant });
            }
        }
    }
    spent
}

#[test]
fn under_overload_the_fleet_spends_the_quota_and_little_more() {
    for nodes in [1, 3, 5] {
        let terms = terms(200, 100, nodes);
        let spent = spent_by_all(terms, Duration::from_millis(2), 10_000, |_, _| 5);
        let whole = 100 + 200 * 10;
        assert!(spent.len() >= whole - 60, "{nodes} nodes: {}", spent.len());
        assert!(spent.len() <= whole + 2 * 5, "{nodes} nodes: {}", spent.len());
    }
}

#[test]
fn a_refusal_is_checked_again_within_a_second_and_one_cell_is_left_after_its_wait() {
    let (lease, terms) = (QuotaLease::default(), terms(1, 100, 5));
    let wait = Duration::from_secs(100);
    _ = lease.apply_grant(terms, LeaseGrant { granted: 0, left: 0, wait }, NOW, NOW);
    let soon = NOW + REFUSAL_TIME;
    let left = wait.saturating_sub(REFUSAL_TIME);
    assert_eq!(lease.spend(terms, soon), (SpendOutcome::Refused { wait: left }, true));
    // The quota was raised meanwhile.
    let wait = Duration::from_micros(7);
    _ = lease.apply_grant(terms, LeaseGrant { granted: 0, left: 0, wait }, soon, soon);
    assert!(spend(&lease, terms, soon + wait));
}

#[test]
fn cells_spent_during_a_request_are_owed_next_and_expire() {
    let (lease, terms) = (QuotaLease::default(), terms(10, 20, 5));
    assert!(spend(&lease, terms, NOW));
    lease.begin_request(terms, NOW);
    assert!(spend(&lease, terms, NOW));
    let grant = LeaseGrant { granted: 0, left: 18, wait: Duration::ZERO };
    assert!(lease.apply_grant(terms, grant, NOW, NOW), "a cell is still owed");
    assert!(!lease.is_idle(terms.quota, NOW));
    let long = NOW + 3 * terms.quota.refill();
    assert!(lease.is_idle(terms.quota, long), "it has come back meanwhile");
    assert_eq!(lease.begin_request(terms, long).owed, 0);
}

#[test]
fn cells_of_the_own_part_are_owed_as_well() {
    let (lease, terms) = (QuotaLease::default(), terms(10, 20, 5));
    (0..7).for_each(|_| lease.add_debt(terms.quota, NOW));
    assert_eq!(lease.begin_request(terms, NOW).owed, 7);
}

/// Checks the bound for random requests. In any time all nodes together spend at most the burst,
/// plus the rate for that time and one second more, plus the credit of each node.
fn check_bound(terms: LeaseTerms, delay: Duration, seed: u64) -> Result<(), TestCaseError> {
    let LeaseTerms { quota, nodes, .. } = terms;
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
            let time = last.saturating_sub(*first) + LEASE_TIME;
            let back = time.as_secs_f64() / quota.interval().as_secs_f64();
            let (more, most) = (u32::try_from(more).unwrap(), f64::from(burst + credit) + back);
            prop_assert!(f64::from(more) < most + 1.0, "{more} in {time:?}, of {most}");
        }
    }
    Ok(())
}

#[test]
fn many_nodes_with_a_small_burst_pay_back_all_their_credit() {
    check_bound(terms(13, 2, 4), Duration::ZERO, 3_343_866_420_459_172_261).unwrap();
    check_bound(terms(152, 2, 5), Duration::ZERO, 5_756_428_842_385_299_479).unwrap();
}

proptest! {
    #[test]
    fn the_quota_is_exceeded_by_at_most_the_credit_of_all_nodes(
        per_second in 1..300_u32,
        burst in 1..200_u32,
        nodes in 1..6_u32,
        delay in 0..15_u64,
        seed: u64,
    ) {
        check_bound(terms(per_second, burst, nodes), Duration::from_millis(delay), seed)?;
    }
}
