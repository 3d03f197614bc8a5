//! Problems that are seen in what clients send: too many requests or connections, credentials that
//! are wrong or cannot be checked, webhooks whose signature does not hold.

use super::last_minute::LastMinute;
use super::problem::{CurrentProblem, Severity, counted};
use crate::invalidation::WebhookOutcome;
use crate::telemetry::Point;

/// Requests of one caller in a minute that got 429, from which they are a problem: the alert has
/// the same, one per second.
const THROTTLED_MIN: u64 = 60;

/// Requests with a wrong credential in a minute, from which they are a problem: one per second.
const WRONG_CREDENTIALS_MIN: u64 = 60;

/// Webhooks in the history that were refused for their signature, above which they are a problem: the
/// alert has the same. Anyone can send a few.
const BAD_SIGNATURES_MAX: u64 = 5;

/// Outcomes of webhooks that were refused for their signature. The alert counts the same.
const BAD_SIGNATURES: [WebhookOutcome; 3] = [
    WebhookOutcome::IncorrectSignature,
    WebhookOutcome::MalformedSignature,
    WebhookOutcome::OutOfTolerance,
];

/// Returns the problem of a caller that sends more than its quota.
pub(super) fn caller_problem(counts: &LastMinute<'_>) -> Option<CurrentProblem> {
    let (caller, throttled) = counts.most_throttled()?;
    let (who, remedy) = if caller == "anonymous" {
        (
            "Addresses without a credential send more than their quota".to_owned(),
            "If the load is meant, raise limits.anonymous. If not, find its source in the access \
             log. If all have the address of your own proxy, list it in server.trusted_proxies.",
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

/// Returns the problem of an address with too many connections.
pub(super) fn connections_problem(counts: &LastMinute<'_>) -> Option<CurrentProblem> {
    let refused = counts.connections_refused;
    (refused > 0).then(|| {
        let closed = counted(refused, "connection was reset", "connections were reset");
        CurrentProblem::new(
            Severity::Warning,
            "connections_refused",
            format!(
                "{closed} in the last minute: one address has as many \
                 open as server.max_connections_per_ip allows."
            ),
            "If it is a client of yours, let it use fewer connections, or raise the limit. If it \
             is a proxy, list it in server.trusted_proxies.",
            "IkgateConnectionsFull",
        )
    })
}

/// Returns the problem of many requests with a wrong credential.
pub(super) fn auth_failures_problem(counts: &LastMinute<'_>) -> Option<CurrentProblem> {
    let (wrong, blocked) = (counts.wrong_credentials(), counts.blocked());
    (wrong.max(blocked) >= WRONG_CREDENTIALS_MIN).then(|| {
        let credentials = counted(wrong, "credential was", "credentials were");
        let blocked = counted(blocked, "request", "requests");
        let reason = counts
            .main_auth_failure()
            .map_or(String::new(), |reason| format!(", most often as {reason}"));
        CurrentProblem::new(
            Severity::Warning,
            "auth_failures",
            format!(
                "{credentials} not accepted in the last minute{reason}; {blocked} got 429, because \
                 their addresses had spent limits.auth_failures."
            ),
            "Find the sender in the access log (client.addr, auth.reason). If it is a client of \
             yours, give it a valid key or token. If it is a flood, block it in front of the \
             gateway.",
            "IkgateCallerThrottled",
        )
    })
}

/// Returns the problem of tokens that cannot be checked, because no key set was fetched yet.
pub(super) fn key_set_problem(counts: &LastMinute<'_>) -> Option<CurrentProblem> {
    let refused = counts.unchecked_tokens();
    (refused > 0).then(|| {
        let tokens = counted(refused, "token was", "tokens were");
        CurrentProblem::new(
            Severity::Warning,
            "key_set_missing",
            format!(
                "No keys have been fetched from jwt.jwks_url since the start: {tokens} refused in \
                 the last minute."
            ),
            "The log names the cause. Fetch the URL with curl from this machine; the gateway tries \
             again every 10 s.",
            "IkgateKeySetFails",
        )
    })
}

/// Returns the problem of webhooks that were refused for their signature. Webhooks are rare, so it
/// looks at the whole history.
pub(super) fn webhooks_problem(points: &[Point]) -> Option<CurrentProblem> {
    let total = |outcome: WebhookOutcome| {
        let counts = points.iter().map(|point| point.webhooks.get(outcome.as_str()).unwrap_or(&0));
        counts.sum::<u64>()
    };
    let genuine = WebhookOutcome::ALL.into_iter().filter(|outcome| outcome.is_genuine());
    let genuine: u64 = genuine.map(total).sum();
    let refused: u64 = BAD_SIGNATURES.map(total).iter().sum();
    let main = BAD_SIGNATURES.into_iter().max_by_key(|outcome| total(*outcome))?;
    (refused > BAD_SIGNATURES_MAX).then(|| {
        let (all, main) = (refused + genuine, main.as_str());
        CurrentProblem::new(
            Severity::Warning,
            "webhooks_refused",
            format!(
                "{refused} of {all} webhooks were refused for their signature in the last 15 \
                 minutes, most often as {main}. If ImageKit sent them, the purges that they ask \
                 for are not done."
            ),
            "Compare webhooks.secret_file with the secret in ImageKit's dashboard, and this \
             machine's clock with the time. A new secret needs a restart.",
            "IkgateWebhooksRefused",
        )
    })
}
