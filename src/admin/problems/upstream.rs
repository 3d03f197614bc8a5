//! Problems of the way to ImageKit: the private key, failing calls, the account's quota.

use super::last_minute::LastMinute;
use super::problem::{CurrentProblem, Severity, counted, spoken};
use crate::admin::health::{BudgetLimitView, LastErrorView, UpstreamView};
use crate::upstream::{BreakerState, KeyStatus, LimitSource, UpstreamOutcome};

/// Number of failed calls in a row from which the upstream counts as failing. One failure may be
/// due to one odd file.
const FAILED_CALLS_MIN: u64 = 2;

const AUTH: &str = UpstreamOutcome::Auth.as_str();
const TIMEOUT: &str = UpstreamOutcome::Timeout.as_str();
const UNREACHABLE: &str = UpstreamOutcome::Unreachable.as_str();

/// Time in seconds without a call, after which the last failure says little about now.
const QUIET: u64 = 120;

/// Returns the problem of a key file that the gateway can no longer read.
pub(super) fn key_file_problem(upstream: &UpstreamView) -> Option<CurrentProblem> {
    let error = upstream.private_key_file.as_ref()?;
    Some(CurrentProblem::new(
        Severity::Critical,
        "private_key_unreadable",
        format!(
            "The file of the private key cannot be used: {error}. /readyz answers 503; the last \
             key stays in use."
        ),
        "Restore upstream.private_key_file and the right to read it; the gateway reads it \
         again within 5 s.",
        "IkgateKeyUnreadable",
    ))
}

/// Returns the problem of calls that fail. A refused key comes first: while its circuit is open,
/// the last error may be that of one probe. `now`: Unix seconds.
pub(super) fn failing_calls_problem(
    upstream: &UpstreamView,
    counts: &LastMinute<'_>,
    now: u64,
) -> Option<CurrentProblem> {
    let error = upstream.last_error.as_ref()?;
    if upstream.key_refusals >= FAILED_CALLS_MIN {
        let since = upstream.key_refused_since?;
        let probed = error.outcome == AUTH;
        let said = if probed { &error.cause } else { "the last probe failed in another way" };
        let failure = Failure { said, since, texts: Texts::REFUSED_KEY };
        return Some(failure.problem(error.at, upstream, counts, now));
    }
    let since = upstream.failing_since?;
    if upstream.failed_calls < FAILED_CALLS_MIN && upstream.breaker == BreakerState::Closed {
        return None;
    }
    if error.outcome == AUTH && upstream.private_key == KeyStatus::Untried {
        return Some(untried_key(error));
    }
    let failure = Failure { said: &error.cause, since, texts: Texts::of(&error.outcome) };
    Some(failure.problem(error.at, upstream, counts, now))
}

/// Failure that may last.
struct Failure<'a> {
    /// Cause of the last failed call.
    said: &'a str,
    /// Time of the first failed call, in Unix seconds.
    since: u64,
    texts: Texts,
}

impl Failure<'_> {
    /// Returns the problem. `last`: time of the last failed call, in Unix seconds, as `now` is.
    fn problem(
        self,
        last: u64,
        upstream: &UpstreamView,
        counts: &LastMinute<'_>,
        now: u64,
    ) -> CurrentProblem {
        let Self { said, since, texts: Texts { code, what, what_once, remedy, runbook } } = self;
        let quiet = now.saturating_sub(last);
        if quiet >= QUIET {
            let ago = spoken(quiet);
            let cause = format!("{what_once}: {said}. That was {ago} ago; no call was made since.");
            return CurrentProblem::new(Severity::Warning, code, cause, remedy, runbook);
        }
        let breaker = match upstream.breaker {
            BreakerState::Closed => "",
            BreakerState::HalfOpen => " The circuit breaker lets one probe through.",
            BreakerState::Open => " The circuit breaker is open: no call leaves.",
        };
        let (lasts, effect) = (spoken(now.saturating_sub(since)), counts.effect(since));
        let cause = format!("{what} for {lasts}: {said}.{effect}{breaker}");
        CurrentProblem::new(Severity::Critical, code, cause, remedy, runbook)
    }
}

/// Returns the problem of a key that took the place of a refused one, and that no call has used.
fn untried_key(error: &LastErrorView) -> CurrentProblem {
    CurrentProblem::new(
        Severity::Warning,
        "private_key_untried",
        format!(
            "The private key was replaced, and no call has been made with the new one. ImageKit \
             refused the old one: {}.",
            error.cause
        ),
        "Request a list that is not in the cache: the call shows whether ImageKit accepts \
         the new key.",
        "IkgateKeyRefused",
    )
}

/// Texts about one kind of failed call.
struct Texts {
    code: &'static str,
    /// Failure that lasts, before "for 3 min".
    what: &'static str,
    /// Failure of the last call alone.
    what_once: &'static str,
    remedy: &'static str,
    runbook: &'static str,
}

impl Texts {
    const REFUSED_KEY: Self = Self {
        code: "private_key_refused",
        what: "ImageKit has refused the private key",
        what_once: "ImageKit refused the private key in the last call",
        remedy: "Write a valid key into upstream.private_key_file. With a key from the \
                 environment, restart the gateway.",
        runbook: "IkgateKeyRefused",
    };

    /// Returns the texts of an outcome, by its name in the metrics.
    fn of(outcome: &str) -> Self {
        let runbook = "IkgateBreakerOpen";
        match outcome {
            UNREACHABLE => Self {
                code: "upstream_unreachable",
                what: "ImageKit has been unreachable",
                what_once: "ImageKit was unreachable for the last call",
                remedy: "Check name resolution, the firewall and the route from this machine to \
                         ImageKit.",
                runbook,
            },
            TIMEOUT => Self {
                code: "upstream_timeout",
                what: "ImageKit has not answered in time",
                what_once: "ImageKit did not answer the last call in time",
                remedy: "Check ImageKit's status page and the route to it.",
                runbook,
            },
            _ => Self {
                code: "upstream_bad",
                what: "ImageKit has given no usable answer",
                what_once: "ImageKit gave no usable answer to the last call",
                remedy: "Check ImageKit's status page and upstream.url.",
                runbook,
            },
        }
    }
}

/// Returns the problem of a spent quota: ImageKit's own, or the budget of the gateway.
pub(super) fn budget_problem(
    upstream: &UpstreamView,
    counts: &LastMinute<'_>,
) -> Option<CurrentProblem> {
    let severity = Severity::Warning;
    if counts.busy > 0 {
        let calls = counted(counts.busy, "call", "calls");
        let cause = format!(
            "ImageKit answered 429 to {calls} in the last minute: the account's quota is spent."
        );
        let remedy = "Find what else uses the account's private key, or lower upstream.budget.";
        let (code, runbook) = ("upstream_throttles", "IkgateUpstreamThrottles");
        return Some(CurrentProblem::new(severity, code, cause, remedy, runbook));
    }
    let fills = counted(counts.not_admitted, "fill was", "fills were");
    if upstream.paused_seconds > 0 {
        let left = spoken(upstream.paused_seconds);
        let cause = format!(
            "ImageKit has asked this gateway to wait: no call leaves for another {left}. {fills} \
             refused in the last minute."
        );
        let remedy = "Wait. If it happens again, find what else uses the account's private key.";
        let (code, runbook) = ("upstream_paused", "IkgateUpstreamThrottles");
        return Some(CurrentProblem::new(severity, code, cause, remedy, runbook));
    }
    (counts.not_admitted > 0).then(|| {
        let available = u64::from(upstream.budget_available);
        let available = counted(available, "call is", "calls are");
        let mut cause = format!(
            "The upstream budget is used up: {fills} refused in the last minute, and {available} \
             available now."
        );
        let mut remedy = "Lower the quota of the caller that requests the most files, or raise \
                          cache.ttl or upstream.budget.";
        if let Some(limit) = upstream.budget_limit {
            let whose = match limit.set_by {
                LimitSource::Configured => "upstream.budget",
                LimitSource::ImageKit => {
                    remedy = "Lower the quota of the caller that requests the most files, or raise \
                              cache.ttl. A larger upstream.budget changes nothing: ImageKit sets \
                              the account's limit.";
                    "ImageKit's own (X-RateLimit-Limit), which is no higher than upstream.budget"
                }
            };
            let BudgetLimitView { per_second, burst, .. } = limit;
            cause = format!(
                "{cause} The limit in force is {whose}: {per_second} per second, at most {burst} \
                 at once."
            );
        }
        CurrentProblem::new(severity, "budget_empty", cause, remedy, "IkgateBudgetExhausted")
    })
}
