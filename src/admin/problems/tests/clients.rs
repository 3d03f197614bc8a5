//! Tests of the problems of files and of what clients send.

use super::*;

#[test]
fn files_that_cannot_be_used_are_told_with_the_reason() {
    let mut health = well();
    health.certificate_files = Some("cert.pem holds no certificate in PEM".to_owned());
    health.reload_refused = Some("ikgate.toml:3: cache.ttl: not a duration".to_owned());
    let problems = current_problems(&health, &[], NOW);
    let codes: Vec<_> = problems.iter().map(|problem| problem.code.as_ref()).collect();
    assert_eq!(codes, ["certificate_not_used", "reload_refused"]);
    assert!(problems[0].cause.contains("cannot be used: cert.pem holds no certificate in PEM."));
    assert!(problems[1].cause.contains("refused: ikgate.toml:3: cache.ttl: not a duration."));
}

#[test]
fn webhooks_are_a_problem_if_as_many_were_refused_for_their_signature_as_the_alert_needs() {
    let told = |counts: &[(&str, u64)]| {
        let webhooks = counts.iter().map(|(outcome, count)| ((*outcome).to_owned(), *count));
        let mut points = vec![Point { webhooks: webhooks.collect(), ..Point::default() }];
        // Longer ago than a minute.
        points.extend((0..100).map(|_| Point::default()));
        causes(&well(), &points)
    };
    assert_eq!(told(&[("missing_signature", 9), ("busy", 9)]), []);
    assert_eq!(told(&[("applied", 2), ("ignored", 1), ("incorrect_signature", 5)]), []);
    let said = told(&[("applied", 200), ("out_of_tolerance", 1), ("incorrect_signature", 5)]);
    let expected = "6 of 206 webhooks were refused for their signature in the last 15 minutes, \
                    most often as incorrect_signature.";
    assert!(said[0].0 == Severity::Warning && said[0].1.starts_with(expected), "{said:?}");
}

#[test]
fn a_flood_of_wrong_credentials_is_told_and_missing_ones_are_not() {
    let flood = |reason: &str, failed, blocked| Point {
        auth_failures: BTreeMap::from([(reason.to_owned(), failed)]),
        refused: BTreeMap::from([("none".to_owned(), blocked)]),
        ..Point::default()
    };
    assert_eq!(causes(&well(), &[flood("unknown_key", 59, 59), flood("missing", 500, 0)]), []);
    let said = causes(&well(), &[flood("unknown_key", 60, 30), flood("missing", 500, 0)]);
    let expected = "60 credentials were not accepted in the last minute, most often as \
                    unknown_key; 30 requests got 429, because their addresses had spent \
                    limits.auth_failures.";
    assert_eq!(said, [(Severity::Warning, expected.to_owned())]);
    assert_eq!(causes(&well(), &[flood("unknown_key", 1, 60)]).len(), 1);
}

#[test]
fn tokens_that_cannot_be_checked_for_lack_of_keys_are_told() {
    let auth_failures = BTreeMap::from([("no_keys".to_owned(), 2)]);
    let said = causes(&well(), &[Point { auth_failures, ..Point::default() }]);
    let expected = "No keys have been fetched from jwt.jwks_url since the start: 2 tokens were \
                    refused in the last minute.";
    assert_eq!(said, [(Severity::Warning, expected.to_owned())]);
}
