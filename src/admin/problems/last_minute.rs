//! Counts of the last minute, summed over the points of the history.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::caller::AuthFailure;
use crate::telemetry::{HISTORY_INTERVAL, Point};
use crate::upstream::UpstreamOutcome;

/// Period that the numbers of a problem are about.
const PERIOD: Duration = Duration::from_mins(1);

/// Label of requests without a caller: their credential was wrong, or was not verified.
const NO_CALLER: &str = "none";

/// Returns whether a credential was wrong, by the reason of the failure. The other reasons are that
/// there was none, or that the gateway has no keys yet.
fn is_wrong(reason: &str) -> bool {
    ![AuthFailure::Missing, AuthFailure::NoKeys].iter().any(|other| other.as_str() == reason)
}

/// Counts of requests and of upstream calls in the last minute.
#[derive(Default)]
pub(super) struct LastMinute<'a> {
    /// End of the last interval, in Unix seconds; 0: none has ended.
    ended: u64,
    requests: u64,
    failed: u64,
    stale: u64,
    /// Fills that the budget did not admit.
    pub(super) not_admitted: u64,
    /// Upstream calls that ImageKit answered with 429.
    pub(super) busy: u64,
    /// Connections that were reset because their address had too many.
    pub(super) connections_refused: u64,
    /// Credentials that were not accepted, by reason: the requests got 401, or 429 if their address
    /// had sent too many.
    auth_failures: BTreeMap<&'a str, u64>,
    /// Requests that got 429, by caller.
    throttled: BTreeMap<&'a str, u64>,
}

impl<'a> LastMinute<'a> {
    pub(super) fn of(points: &'a [Point]) -> Self {
        let count = usize::try_from(PERIOD.as_secs() / HISTORY_INTERVAL.as_secs()).unwrap_or(1);
        let ended = points.last().map_or(0, |point| point.at);
        let mut sum = Self { ended, ..Self::default() };
        for point in points.iter().rev().take(count) {
            let calls =
                |outcome: UpstreamOutcome| point.upstream.get(outcome.as_str()).unwrap_or(&0);
            sum.requests += point.requests.values().sum::<u64>();
            sum.failed += point.failed;
            let answered = |cache: &str| point.requests.get(cache).unwrap_or(&0);
            sum.stale += answered("stale") + answered("stale_error");
            sum.not_admitted += calls(UpstreamOutcome::Spent) + calls(UpstreamOutcome::QueueFull);
            sum.busy += calls(UpstreamOutcome::Busy);
            sum.connections_refused += point.connections_refused;
            for (reason, failed) in &point.auth_failures {
                *sum.auth_failures.entry(reason).or_default() += failed;
            }
            for (caller, throttled) in &point.refused {
                *sum.throttled.entry(caller).or_default() += throttled;
            }
        }
        sum
    }

    /// Returns how callers were answered, as a sentence that begins with a blank. It is empty until
    /// a whole interval has passed since the failure began: the counts do not show it before.
    /// `since`: Unix seconds.
    pub(super) fn effect(&self, since: u64) -> String {
        if self.ended < since + HISTORY_INTERVAL.as_secs() {
            return String::new();
        }
        let percent = |part: u64| (part * 100).checked_div(self.requests).unwrap_or(0);
        if self.requests == 0 {
            return " No caller has sent a request in the last minute.".to_owned();
        }
        format!(
            " In the last minute {} % of requests were answered stale and {} % failed.",
            percent(self.stale),
            percent(self.failed)
        )
    }

    /// Returns the caller with the most requests that got 429, and their number. Requests with a
    /// wrong credential have no caller.
    pub(super) fn most_throttled(&self) -> Option<(&'a str, u64)> {
        let counts = self.throttled.iter().map(|(caller, count)| (*caller, *count));
        let counts = counts.filter(|(caller, _)| *caller != NO_CALLER);
        counts.max_by_key(|(_, count)| *count)
    }

    /// Returns the number of tokens that could not be checked, because the gateway has no keys yet.
    pub(super) fn unchecked_tokens(&self) -> u64 {
        self.auth_failures.get(AuthFailure::NoKeys.as_str()).copied().unwrap_or_default()
    }

    /// Returns the reason of most wrong credentials.
    pub(super) fn main_auth_failure(&self) -> Option<&'a str> {
        let counts = self.auth_failures.iter().filter(|(reason, _)| is_wrong(reason));
        counts.max_by_key(|(_, count)| **count).map(|(reason, _)| *reason)
    }

    /// Returns the number of wrong credentials.
    pub(super) fn wrong_credentials(&self) -> u64 {
        let counts = self.auth_failures.iter().filter(|(reason, _)| is_wrong(reason));
        counts.map(|(_, count)| count).sum()
    }

    /// Returns the number of requests that got 429, because their address had sent too many wrong
    /// credentials. Most of these requests had a wrong credential themselves.
    pub(super) fn blocked(&self) -> u64 {
        self.throttled.get(NO_CALLER).copied().unwrap_or_default()
    }
}
