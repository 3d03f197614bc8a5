//! Tests of the current problems.

use std::collections::BTreeMap;

use super::files::DAY;
use super::*;
use crate::admin::health::{BudgetLimitView, LastErrorView, UpstreamView};
use crate::upstream::{BreakerState, KeyStatus, LimitSource, UpstreamOutcome};

mod clients;

const NOW: u64 = 1_000_000;

fn well() -> Health {
    Health {
        upstream: UpstreamView {
            breaker: BreakerState::Closed,
            private_key: KeyStatus::Accepted,
            key_refusals: 0,
            key_refused_since: None,
            private_key_file: None,
            budget_available: 100,
            paused_seconds: 0,
            budget_limit: None,
            failing_since: None,
            failed_calls: 0,
            last_error: None,
        },
        fleet: "none".into(),
        fleet_error: None,
        pending_purges: 0,
        draining: false,
        connections: 3,
        certificate_expires: None,
        certificate_files: None,
        reload_refused: None,
    }
}

fn failing(kind: UpstreamOutcome, cause: &str, calls: u64) -> Health {
    let mut health = well();
    health.upstream.failing_since = Some(NOW - 200);
    health.upstream.failed_calls = calls;
    health.upstream.last_error =
        Some(LastErrorView { at: NOW - 1, outcome: kind.as_str().into(), cause: cause.to_owned() });
    health
}

fn minute() -> Vec<Point> {
    let counts = [("stale", 20), ("stale_error", 21), ("miss", 59)];
    let requests = counts.map(|(cache, count)| (cache.to_owned(), count)).into();
    vec![Point { at: NOW - 1, requests, failed: 59, ..Point::default() }]
}

fn causes(health: &Health, points: &[Point]) -> Vec<(Severity, String)> {
    let problems = current_problems(health, points, NOW);
    problems.into_iter().map(|problem| (problem.severity, problem.cause)).collect()
}

#[test]
fn an_outage_is_told_with_its_cause_its_duration_and_its_effect() {
    assert_eq!(causes(&well(), &minute()), []);
    let mut health = failing(UpstreamOutcome::Unreachable, "Connection refused", 9);
    health.upstream.breaker = BreakerState::Open;
    let said = "ImageKit has been unreachable for 3 min: Connection refused. In the last minute \
                41 % of requests were answered stale and 59 % failed. The circuit breaker is open: \
                no call leaves.";
    assert_eq!(causes(&health, &minute()), [(Severity::Critical, said.to_owned())]);
}

#[test]
fn the_effect_of_a_failure_is_left_out_until_an_interval_since_its_beginning_has_ended() {
    let mut health = failing(UpstreamOutcome::Unreachable, "Connection refused", 9);
    let without = "ImageKit has been unreachable for 5 s: Connection refused.";
    health.upstream.failing_since = Some(NOW - 5);
    assert_eq!(causes(&health, &minute()), [(Severity::Critical, without.to_owned())]);
    assert_eq!(causes(&health, &[]), [(Severity::Critical, without.to_owned())]);
    health.upstream.failing_since = Some(NOW - 6);
    assert!(causes(&health, &minute())[0].1.contains(" 59 % failed."));
    let quiet = [Point { at: NOW - 1, ..Point::default() }];
    assert!(causes(&health, &quiet)[0].1.contains("No caller has sent a request"));
}

#[test]
fn one_failure_is_no_problem_and_two_in_a_row_are_one() {
    assert_eq!(causes(&failing(UpstreamOutcome::Bad, "unexpected status 500", 1), &[]), []);
    let problems = causes(&failing(UpstreamOutcome::Timeout, "no answer within 10s", 2), &[]);
    assert!(problems[0].1.starts_with("ImageKit has not answered in time for 3 min"));
}

#[test]
fn a_refused_key_comes_before_warnings() {
    let mut health = failing(UpstreamOutcome::Auth, "status 401 Unauthorized", 3);
    health.upstream.private_key = KeyStatus::Refused;
    health.upstream.key_refusals = 2;
    health.upstream.key_refused_since = Some(NOW - 200);
    health.certificate_expires = Some(i64::try_from(NOW).unwrap() + 13 * DAY);
    let points = [Point { log_lines_dropped: 7, ..Point::default() }];
    let problems = current_problems(&health, &points, NOW);
    let codes: Vec<_> = problems.iter().map(|problem| problem.code.as_ref()).collect();
    assert_eq!(codes, ["private_key_refused", "certificate", "log_lines_dropped"]);
    assert_eq!(problems[1].cause, "The TLS certificate expires in 13 days.");
}

#[test]
fn two_refusals_in_a_row_are_a_refused_key_and_no_bad_answer() {
    let mut health = failing(UpstreamOutcome::Auth, "status 403 Forbidden", 2);
    health.upstream.private_key = KeyStatus::Refused;
    health.upstream.key_refusals = 2;
    health.upstream.key_refused_since = Some(NOW - 200);
    let problems = current_problems(&health, &[], NOW);
    assert_eq!((problems.len(), problems[0].code.as_ref()), (1, "private_key_refused"));
    let cause = &problems[0].cause;
    assert!(
        cause.starts_with("ImageKit has refused the private key for 3 min: status 403"),
        "{cause}"
    );
}

#[test]
fn one_refusal_after_other_failures_is_no_refused_key() {
    let mut health = failing(UpstreamOutcome::Auth, "status 401 Unauthorized", 4);
    health.upstream.private_key = KeyStatus::Refused;
    health.upstream.key_refusals = 1;
    health.upstream.key_refused_since = Some(NOW - 1);
    assert_eq!(current_problems(&health, &[], NOW)[0].code, "upstream_bad");
    // A probe that fails in another way does not hide a refused key.
    let mut health = failing(UpstreamOutcome::Timeout, "no answer within 10s", 4);
    health.upstream.private_key = KeyStatus::Refused;
    health.upstream.key_refusals = 3;
    health.upstream.key_refused_since = Some(NOW - 200);
    assert_eq!(current_problems(&health, &[], NOW)[0].code, "private_key_refused");
}

#[test]
fn a_key_that_replaced_a_refused_one_is_not_called_refused_before_it_was_tried() {
    let mut health = failing(UpstreamOutcome::Auth, "status 401 Unauthorized", 3);
    health.upstream.private_key = KeyStatus::Untried;
    let problems = current_problems(&health, &[], NOW);
    assert_eq!((problems.len(), problems[0].code.as_ref()), (1, "private_key_untried"));
    assert_eq!(problems[0].severity, Severity::Warning);
    // A key that is in place says nothing about an upstream that is gone.
    let mut health = failing(UpstreamOutcome::Unreachable, "Connection refused", 3);
    health.upstream.private_key = KeyStatus::Untried;
    assert_eq!(current_problems(&health, &[], NOW)[0].code, "upstream_unreachable");
}

#[test]
fn failures_that_no_call_followed_for_long_are_not_called_an_outage_of_now() {
    let mut health = failing(UpstreamOutcome::Unreachable, "Connection refused", 9);
    health.upstream.last_error.as_mut().unwrap().at = NOW - 7_300;
    let said = "ImageKit was unreachable for the last call: Connection refused. That was 2 h ago; \
                no call was made since.";
    assert_eq!(causes(&health, &minute()), [(Severity::Warning, said.to_owned())]);
}

#[test]
fn a_key_file_that_cannot_be_read_and_a_drain_are_told() {
    let mut health = well();
    health.upstream.private_key_file = Some("cannot read imagekit.key: No such file".to_owned());
    health.draining = true;
    health.connections = 1;
    let told = causes(&health, &[]);
    assert_eq!(told[0].0, Severity::Critical);
    assert!(told[0].1.contains("cannot read imagekit.key: No such file. /readyz answers 503"));
    assert!(
        told[1].1.starts_with("This gateway shuts down")
            && told[1].1.ends_with("and 1 connection is open.")
    );
}

#[test]
fn a_caller_that_gets_one_429_a_second_is_named() {
    let flood = |refused| Point {
        refused: BTreeMap::from([("web-team".to_owned(), refused), ("none".to_owned(), 9)]),
        ..Point::default()
    };
    assert_eq!(causes(&well(), &[flood(29), flood(30)]), []);
    let told = causes(&well(), &[flood(30), flood(30)]);
    assert!(told[0].1.starts_with("The caller web-team sends more than its quota: 60"), "{told:?}");
    let refused = BTreeMap::from([("anonymous".to_owned(), 60)]);
    let told_of_addresses = causes(&well(), &[Point { refused, ..Point::default() }]);
    assert!(told_of_addresses[0].1.starts_with("Addresses without a credential send more"));
    let mut long_ago = vec![flood(600)];
    long_ago.extend((0..12).map(|_| Point::default()));
    assert_eq!(causes(&well(), &long_ago), []);
}

#[test]
fn an_address_with_too_many_connections_is_told() {
    let told = causes(&well(), &[Point { connections_refused: 44, ..Point::default() }]);
    assert!(told[0].1.starts_with("44 connections were reset in the last minute"), "{told:?}");
    let told = causes(&well(), &[Point { connections_refused: 1, ..Point::default() }]);
    assert!(told[0].1.starts_with("1 connection was reset in the last minute"), "{told:?}");
}

#[test]
fn what_runs_out_is_told() {
    let mut health = well();
    health.certificate_expires = Some(i64::try_from(NOW).unwrap() - 7_200);
    health.fleet = "cut_off".into();
    let spent = BTreeMap::from([("budget".to_owned(), 5), ("queue_full".to_owned(), 2)]);
    let points = [Point { upstream: spent, ..Point::default() }];
    let told = causes(&health, &points);
    assert!(told[0].1.starts_with("The connection to the fleet's Redis is cut off"), "{told:?}");
    assert!(told[1].1.contains("expired 2 h ago"), "{told:?}");
    assert!(told[2].1.contains("7 fills were refused"), "{told:?}");
    let busy = BTreeMap::from([("busy".to_owned(), 1)]);
    let told = causes(&well(), &[Point { upstream: busy, ..Point::default() }]);
    assert!(told[0].1.starts_with("ImageKit answered 429 to 1 call in"), "{told:?}");
}

#[test]
fn a_fleet_that_is_cut_off_is_told_with_its_cause() {
    let mut health = well();
    health.fleet = "cut_off".into();
    health.pending_purges = 1;
    let told = causes(&health, &[]);
    assert!(
        told[0].1.ends_with(
            "is cut off. Purges of other gateways do not arrive, and 1 purge of this one waits."
        ),
        "{told:?}"
    );
    health.fleet_error = Some("it did not answer in time".to_owned());
    health.pending_purges = 2;
    let told = causes(&health, &[]);
    assert!(told[0].1.contains("is cut off: it did not answer in time. Purges"), "{told:?}");
    assert!(told[0].1.ends_with("2 purges of this one wait."), "{told:?}");
}

#[test]
fn a_spent_budget_names_the_limit_in_force_and_what_helps_against_it() {
    let told = |limit| {
        let mut health = well();
        health.upstream.budget_available = 1;
        health.upstream.budget_limit = limit;
        let upstream = BTreeMap::from([("budget".to_owned(), 1)]);
        let problems = current_problems(&health, &[Point { upstream, ..Point::default() }], NOW);
        let [problem] = &problems[..] else { panic!("{problems:?}") };
        (problem.cause.clone(), problem.remedy.clone())
    };
    let used_up = "The upstream budget is used up: 1 fill was refused in the last minute, and 1 \
                   call is available now.";
    assert_eq!(told(None).0, used_up);
    let limit = |set_by| Some(BudgetLimitView { set_by, per_second: 2.5, burst: 10 });
    let (cause, remedy) = told(limit(LimitSource::Configured));
    let in_force = "The limit in force is upstream.budget: 2.5 per second, at most 10 at once.";
    assert_eq!(cause, format!("{used_up} {in_force}"));
    assert!(remedy.ends_with("or raise cache.ttl or upstream.budget."), "{remedy}");
    let (cause, remedy) = told(limit(LimitSource::ImageKit));
    assert!(cause.contains("The limit in force is ImageKit's own (X-RateLimit-Limit)"), "{cause}");
    assert!(remedy.contains("A larger upstream.budget changes nothing"), "{remedy}");
}

#[test]
fn a_wait_that_imagekit_has_asked_for_is_not_told_as_a_spent_budget() {
    let mut health = well();
    health.upstream.paused_seconds = 48;
    let upstream = BTreeMap::from([("budget".to_owned(), 300)]);
    let told = causes(&health, &[Point { upstream, ..Point::default() }]);
    let expected = "ImageKit has asked this gateway to wait: no call leaves for another 48 s. \
                    300 fills were refused in the last minute.";
    assert_eq!(told, [(Severity::Warning, expected.to_owned())]);
}

#[test]
fn every_problem_leads_to_a_section_of_the_runbook() {
    let runbook = include_str!("../../../deploy/runbook.md");
    let source = [
        include_str!("../problems.rs"),
        include_str!("callers.rs"),
        include_str!("files.rs"),
        include_str!("upstream.rs"),
    ]
    .concat();
    let named: Vec<_> = source.split('"').filter(|text| text.starts_with("Ikgate")).collect();
    assert!(named.len() >= 13, "{named:?}");
    for section in named {
        assert!(runbook.contains(&format!("\n## {section}\n")), "{section}");
    }
}
