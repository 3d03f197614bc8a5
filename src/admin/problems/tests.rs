//! Tests of the current problems.

use std::collections::BTreeMap;

use super::*;
use crate::admin::health::LastErrorView;

const NOW: u64 = 1_000_000;

fn well() -> Health {
    Health {
        upstream: UpstreamView {
            breaker: "closed".into(),
            private_key: "accepted".into(),
            budget_available: 100,
            failing_since: None,
            failed_calls: 0,
            last_error: None,
        },
        fleet: "none".into(),
        pending_purges: 0,
        certificate_expires: None,
    }
}

fn failing(kind: UpstreamOutcome, cause: &str, calls: u64) -> Health {
    let mut health = well();
    health.upstream.failing_since = Some(NOW - 200);
    health.upstream.failed_calls = calls;
    let outcome = kind.as_str().into();
    health.upstream.last_error =
        Some(LastErrorView { at: NOW - 1, outcome, cause: cause.to_owned() });
    health
}

fn minute() -> Vec<Point> {
    let requests = BTreeMap::from([("stale_error".to_owned(), 41), ("miss".to_owned(), 59)]);
    vec![Point { requests, failed: 59, ..Point::default() }]
}

fn causes(health: &Health, points: &[Point]) -> Vec<(Severity, String)> {
    let problems = current_problems(health, points, NOW);
    problems.into_iter().map(|problem| (problem.severity, problem.cause)).collect()
}

#[test]
fn an_outage_is_told_with_its_cause_its_duration_and_its_effect() {
    assert_eq!(causes(&well(), &minute()), []);
    let mut health = failing(UpstreamOutcome::Unreachable, "Connection refused", 9);
    health.upstream.breaker = "open".into();
    let said = "ImageKit has been unreachable for 3 min: Connection refused. In the last minute \
                41 % of requests were answered stale and 59 % failed. The circuit breaker is open: \
                no call leaves.";
    assert_eq!(causes(&health, &minute()), [(Severity::Critical, said.to_owned())]);
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
    health.upstream.private_key = "refused".into();
    health.certificate_expires = Some(i64::try_from(NOW).unwrap() + 13 * DAY);
    let points = [Point { log_lines_dropped: 7, ..Point::default() }];
    let problems = current_problems(&health, &points, NOW);
    let codes: Vec<_> = problems.iter().map(|problem| problem.code.as_ref()).collect();
    assert_eq!(codes, ["private_key_refused", "certificate", "log_lines_dropped"]);
    assert_eq!(problems[1].cause, "The TLS certificate expires in 13 days.");
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
    assert!(told[0].1.starts_with("ImageKit answered 429 to 1 calls"), "{told:?}");
}

#[test]
fn every_problem_leads_to_a_section_of_the_runbook() {
    let runbook = include_str!("../../../deploy/runbook.md");
    let source = include_str!("../problems.rs");
    let named: Vec<_> = source.split('"').filter(|text| text.starts_with("Ikgate")).collect();
    assert!(named.len() >= 7, "{named:?}");
    for section in named {
        assert!(runbook.contains(&format!("\n## {section}\n")), "{section}");
    }
}
