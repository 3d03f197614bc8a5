//! Current problems of the gateway: the cause and the remedy of each, in a sentence.
//!
//! They are the headline of the dashboard and of `ikgate status`.

mod last_minute;
mod problem;
mod upstream;

use last_minute::LastMinute;
use problem::spoken;
pub use problem::{CurrentProblem, Severity, counted};

use super::health::Health;
use crate::telemetry::Point;

/// Time before a certificate's expiry from which it is a problem: the alert has the same.
const CERTIFICATE_DAYS: i64 = 14;
const DAY: i64 = 86_400;

/// Requests of one caller in a minute that got 429, from which they are a problem: the alert has
/// the same, one per second.
const THROTTLED_MIN: u64 = 60;

/// Returns the problems of a gateway, the most severe first. `now`: Unix seconds.
pub(super) fn current_problems(health: &Health, points: &[Point], now: u64) -> Vec<CurrentProblem> {
    let counts = LastMinute::of(points);
    let mut problems: Vec<_> = [
        drain_problem(health),
        upstream::key_file_problem(&health.upstream),
        upstream::failing_calls_problem(&health.upstream, &counts, now),
        fleet_problem(health),
        certificate_problem(health, now),
        upstream::budget_problem(&health.upstream, &counts),
        caller_problem(&counts),
        connections_problem(&counts),
        log_problem(points),
    ]
    .into_iter()
    .flatten()
    .collect();
    problems.sort_by_key(|problem| problem.severity);
    problems
}

fn drain_problem(health: &Health) -> Option<CurrentProblem> {
    health.draining.then(|| {
        CurrentProblem::new(
            Severity::Warning,
            "draining",
            format!(
                "This gateway shuts down: /readyz answers 503, and {} connections are open.",
                health.connections
            ),
            "Wait for its successor. If the stop was not planned, read the log for its cause.",
            "IkgateDown",
        )
    })
}

fn fleet_problem(health: &Health) -> Option<CurrentProblem> {
    (health.fleet == "cut_off").then(|| {
        let error = health.fleet_error.as_ref().map_or(String::new(), |error| format!(": {error}"));
        let waiting = counted(
            u64::try_from(health.pending_purges).unwrap_or(u64::MAX),
            "purge of this one waits",
            "purges of this one wait",
        );
        CurrentProblem::new(
            Severity::Critical,
            "fleet_cut_off",
            format!(
                "The connection to the fleet's Redis is cut off{error}. Purges of other gateways \
                 do not arrive, and {waiting}."
            ),
            "Check Redis, cluster.redis_url and the network between. Until then stale responses \
             are served only if ImageKit fails.",
            "IkgateFleetCutOff",
        )
    })
}

fn certificate_problem(health: &Health, now: u64) -> Option<CurrentProblem> {
    let left = health.certificate_expires? - i64::try_from(now).unwrap_or(i64::MAX);
    if left >= CERTIFICATE_DAYS * DAY {
        return None;
    }
    let lasts = spoken(left.unsigned_abs());
    let (severity, cause) = if left <= 0 {
        let cause = format!("The TLS certificate expired {lasts} ago: clients refuse to connect.");
        (Severity::Critical, cause)
    } else {
        (Severity::Warning, format!("The TLS certificate expires in {lasts}."))
    };
    let remedy = "Replace the files of [server.tls]; the gateway reads them again within 5 s.";
    let (code, runbook) = ("certificate", "IkgateCertificateExpires");
    Some(CurrentProblem::new(severity, code, cause, remedy, runbook))
}

fn caller_problem(counts: &LastMinute<'_>) -> Option<CurrentProblem> {
    let (caller, throttled) = counts.most_throttled()?;
    let (who, remedy) = if caller == "anonymous" {
        (
            "Addresses without a credential send more than their quota".to_owned(),
            "If the load is meant, raise limits.anonymous. If not, find its source in the access \
             log.",
        )
    } else {
        (
            format!("The caller {caller} sends more than its quota"),
            "If the load is meant, raise its quota. If not, find its source in the access log.",
        )
    };
    (throttled >= THROTTLED_MIN).then(|| {
        let cause = format!("{who}: {throttled} requests got 429 in the last minute.");
        let (code, runbook) = ("caller_throttled", "IkgateCallerThrottled");
        CurrentProblem::new(Severity::Warning, code, cause, remedy, runbook)
    })
}

fn connections_problem(counts: &LastMinute<'_>) -> Option<CurrentProblem> {
    let refused = counts.connections_refused;
    (refused > 0).then(|| {
        CurrentProblem::new(
            Severity::Warning,
            "connections_refused",
            format!(
                "{refused} connections were closed in the last minute: one address has as many \
                 open as server.max_connections_per_ip allows."
            ),
            "If it is a client of yours, let it use fewer connections, or raise the limit. If it \
             is a proxy, list it in server.trusted_proxies.",
            "IkgateConnectionsFull",
        )
    })
}

fn log_problem(points: &[Point]) -> Option<CurrentProblem> {
    let dropped: u64 = points.iter().map(|point| point.log_lines_dropped).sum();
    (dropped > 0).then(|| {
        CurrentProblem::new(
            Severity::Warning,
            "log_lines_dropped",
            format!("{dropped} log lines were dropped in the last 15 minutes."),
            "Set telemetry.access_log to \"errors\", or make the reader of the log faster.",
            "IkgateLogLinesDropped",
        )
    })
}

#[cfg(test)]
mod tests;
