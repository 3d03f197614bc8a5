//! Current problems of the gateway: the cause and the remedy of each, in a sentence.
//!
//! They are the headline of the dashboard and of `ikgate status`.

mod callers;
mod files;
mod last_minute;
mod problem;
mod upstream;

use last_minute::LastMinute;
pub use problem::{CurrentProblem, Severity, counted};

use super::health::Health;
use crate::telemetry::Point;

/// Returns the problems of a gateway, the most severe first. `now`: Unix seconds.
pub(super) fn current_problems(health: &Health, points: &[Point], now: u64) -> Vec<CurrentProblem> {
    let counts = LastMinute::of(points);
    let mut problems: Vec<_> = [
        drain_problem(health),
        upstream::key_file_problem(&health.upstream),
        upstream::failing_calls_problem(&health.upstream, &counts, now),
        fleet_problem(health),
        files::certificate_problem(health, now),
        files::certificate_files_problem(health),
        files::reload_problem(health),
        upstream::budget_problem(&health.upstream, &counts),
        callers::webhooks_problem(points),
        callers::caller_problem(&counts),
        callers::key_set_problem(&counts),
        callers::auth_failures_problem(&counts),
        callers::connections_problem(&counts),
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
        let open = u64::try_from(health.connections).unwrap_or(u64::MAX);
        let connections = counted(open, "connection is open", "connections are open");
        CurrentProblem::new(
            Severity::Warning,
            "draining",
            format!("This gateway shuts down: /readyz answers 503, and {connections}."),
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

fn log_problem(points: &[Point]) -> Option<CurrentProblem> {
    let dropped: u64 = points.iter().map(|point| point.log_lines_dropped).sum();
    (dropped > 0).then(|| {
        let lines = counted(dropped, "log line was", "log lines were");
        CurrentProblem::new(
            Severity::Warning,
            "log_lines_dropped",
            format!("{lines} dropped in the last 15 minutes."),
            "Set telemetry.access_log to \"errors\", or make the reader of the log faster.",
            "IkgateLogLinesDropped",
        )
    })
}

#[cfg(test)]
mod tests;
