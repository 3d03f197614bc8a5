//! Current problems of the gateway: the cause and the remedy of each, in a sentence.
//!
//! They are the headline of the dashboard. Each one names its section of the runbook, whose alert
//! fires if the problem lasts.

use std::borrow::Cow;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::health::{Health, UpstreamView};
use crate::telemetry::{HISTORY_INTERVAL, Point};
use crate::upstream::UpstreamOutcome;

/// Number of failed calls in a row from which the upstream counts as failing. One failure may be
/// due to one odd file.
const FAILED_CALLS_MIN: u64 = 2;

/// Time before a certificate's expiry from which it is a problem: the alert has the same.
const CERTIFICATE_DAYS: i64 = 14;
const DAY: i64 = 86_400;

/// Period that the numbers of a problem are about.
const RECENT: Duration = Duration::from_mins(1);

/// A problem that exists now.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct CurrentProblem {
    pub severity: Severity,
    pub code: Cow<'static, str>,
    pub cause: String,
    pub remedy: Cow<'static, str>,
    /// Section of the runbook.
    pub runbook: Cow<'static, str>,
}

/// Effect of a problem on callers. The more severe one is less.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Callers are affected now.
    Critical,
    /// Callers will be affected unless the operator acts.
    Warning,
}

/// Counts of the last minute.
#[derive(Default)]
struct LastMinute {
    requests: u64,
    failed: u64,
    stale: u64,
    not_admitted: u64,
    busy: u64,
}

/// Returns the problems of a gateway, the most severe first. `now`: Unix seconds.
pub(super) fn current_problems(health: &Health, points: &[Point], now: u64) -> Vec<CurrentProblem> {
    let counts = last_minute(points);
    let mut problems: Vec<_> = [
        upstream_problem(&health.upstream, &counts, now),
        fleet_problem(health),
        certificate_problem(health, now),
        budget_problem(&health.upstream, &counts),
        log_problem(points),
    ]
    .into_iter()
    .flatten()
    .collect();
    problems.sort_by_key(|problem| problem.severity);
    problems
}

fn last_minute(points: &[Point]) -> LastMinute {
    let recent = usize::try_from(RECENT.as_secs() / HISTORY_INTERVAL.as_secs()).unwrap_or(1);
    let mut counts = LastMinute::default();
    for point in points.iter().rev().take(recent) {
        let calls = |outcome: UpstreamOutcome| point.upstream.get(outcome.as_str()).unwrap_or(&0);
        counts.requests += point.requests.values().sum::<u64>();
        counts.failed += point.failed;
        counts.stale += point.requests.get("stale_error").unwrap_or(&0);
        counts.not_admitted += calls(UpstreamOutcome::Spent) + calls(UpstreamOutcome::QueueFull);
        counts.busy += calls(UpstreamOutcome::Busy);
    }
    counts
}

fn upstream_problem(
    upstream: &UpstreamView,
    counts: &LastMinute,
    now: u64,
) -> Option<CurrentProblem> {
    let since = upstream.failing_since?;
    let error = upstream.last_error.as_ref()?;
    let lasts = spoken(now.saturating_sub(since));
    let said = &error.cause;
    let effect = effect(counts);
    if upstream.private_key == "refused" {
        return Some(CurrentProblem {
            severity: Severity::Critical,
            code: "private_key_refused".into(),
            cause: format!("ImageKit has refused the private key for {lasts}: {said}.{effect}"),
            remedy: "Write a valid key into upstream.private_key_file. With a key from the \
                     environment, restart the gateway."
                .into(),
            runbook: "IkgateKeyRefused".into(),
        });
    }
    if upstream.failed_calls < FAILED_CALLS_MIN && upstream.breaker == "closed" {
        return None;
    }
    let breaker = match upstream.breaker.as_ref() {
        "closed" => "",
        "half_open" => " The circuit breaker lets one probe through.",
        _ => " The circuit breaker is open: no call leaves.",
    };
    let has_failed_by = |outcome: UpstreamOutcome| error.outcome == outcome.as_str();
    let (code, what, remedy) = if has_failed_by(UpstreamOutcome::Unreachable) {
        (
            "upstream_unreachable",
            "ImageKit has been unreachable",
            "Check name resolution, the firewall and the route from this machine to ImageKit.",
        )
    } else if has_failed_by(UpstreamOutcome::Timeout) {
        (
            "upstream_timeout",
            "ImageKit has not answered in time",
            "Check ImageKit's status page and the route to it.",
        )
    } else {
        (
            "upstream_bad",
            "ImageKit has given no usable answer",
            "Check ImageKit's status page and upstream.url.",
        )
    };
    Some(CurrentProblem {
        severity: Severity::Critical,
        code: code.into(),
        cause: format!("{what} for {lasts}: {said}.{effect}{breaker}"),
        remedy: remedy.into(),
        runbook: "IkgateBreakerOpen".into(),
    })
}

/// Returns how callers were answered in the last minute, as a sentence.
fn effect(counts: &LastMinute) -> String {
    let percent = |part: u64| (part * 100).checked_div(counts.requests).unwrap_or(0);
    if counts.requests == 0 {
        return " No caller has sent a request in the last minute.".to_owned();
    }
    format!(
        " In the last minute {} % of requests were answered stale and {} % failed.",
        percent(counts.stale),
        percent(counts.failed)
    )
}

fn fleet_problem(health: &Health) -> Option<CurrentProblem> {
    (health.fleet == "cut_off").then(|| CurrentProblem {
        severity: Severity::Critical,
        code: "fleet_cut_off".into(),
        cause: format!(
            "The connection to the fleet's Redis is cut off: purges of other gateways do not \
             arrive, and {} purges of this one wait.",
            health.pending_purges
        ),
        remedy: "Check Redis and the network to it. Until then only fresh responses are served."
            .into(),
        runbook: "IkgateFleetCutOff".into(),
    })
}

fn certificate_problem(health: &Health, now: u64) -> Option<CurrentProblem> {
    let left = health.certificate_expires? - i64::try_from(now).unwrap_or(i64::MAX);
    if left >= CERTIFICATE_DAYS * DAY {
        return None;
    }
    let (severity, cause) = if left <= 0 {
        let ago = spoken(left.unsigned_abs());
        let cause = format!("The TLS certificate expired {ago} ago: clients refuse to connect.");
        (Severity::Critical, cause)
    } else {
        let cause = format!("The TLS certificate expires in {}.", spoken(left.unsigned_abs()));
        (Severity::Warning, cause)
    };
    Some(CurrentProblem {
        severity,
        code: "certificate".into(),
        cause,
        remedy: "Replace the files of [server.tls]; the gateway reads them again within 5 s."
            .into(),
        runbook: "IkgateCertificateExpires".into(),
    })
}

fn budget_problem(upstream: &UpstreamView, counts: &LastMinute) -> Option<CurrentProblem> {
    if counts.busy > 0 {
        return Some(CurrentProblem {
            severity: Severity::Warning,
            code: "upstream_throttles".into(),
            cause: format!(
                "ImageKit answered 429 to {} calls in the last minute: the account's quota is \
                 spent.",
                counts.busy
            ),
            remedy: "Find what else uses the account's private key, or lower upstream.budget."
                .into(),
            runbook: "IkgateUpstreamThrottles".into(),
        });
    }
    (counts.not_admitted > 0).then(|| CurrentProblem {
        severity: Severity::Warning,
        code: "budget_empty".into(),
        cause: format!(
            "The upstream budget is used up: {} fills were refused in the last minute, {} calls \
             are available now.",
            counts.not_admitted, upstream.budget_available
        ),
        remedy: "Lower the quota of the caller that requests the most files, or raise cache.ttl \
                 or upstream.budget."
            .into(),
        runbook: "IkgateBudgetExhausted".into(),
    })
}

fn log_problem(points: &[Point]) -> Option<CurrentProblem> {
    let dropped: u64 = points.iter().map(|point| point.log_lines_dropped).sum();
    (dropped > 0).then(|| CurrentProblem {
        severity: Severity::Warning,
        code: "log_lines_dropped".into(),
        cause: format!("{dropped} log lines were dropped in the last 15 minutes."),
        remedy: "Set telemetry.access_log to \"errors\", or make the reader of the log faster."
            .into(),
        runbook: "IkgateLogLinesDropped".into(),
    })
}

/// Returns a duration in its largest unit, as "3 min".
fn spoken(seconds: u64) -> String {
    let day = DAY.unsigned_abs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / day),
    }
}

#[cfg(test)]
mod tests;
