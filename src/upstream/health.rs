//! Health of the upstream, as the results of its calls show it: the last error, and since when
//! every call has failed.

use std::error::Error;
use std::time::Duration;

use super::error::{UpstreamError, UpstreamOutcome};

/// Result of the recent upstream calls. Times are monotonic.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct UpstreamHealth {
    /// Calls that have failed since the last one that worked.
    pub failing: Option<FailingCalls>,
    /// Last error of a call that left the gateway.
    pub last_error: Option<LastUpstreamError>,
}

/// Consecutive calls that failed, without one that worked in between.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FailingCalls {
    /// Time at which the first of them ended.
    pub since: Duration,
    pub count: u64,
}

/// Error of an upstream call.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LastUpstreamError {
    pub at: Duration,
    pub outcome: UpstreamOutcome,
    /// Cause in words, such as "Connection refused (os error 111)".
    pub cause: String,
}

impl UpstreamHealth {
    /// Records a call that got a usable response at any status.
    pub(super) fn worked(&mut self) {
        self.failing = None;
    }

    /// Records a call that failed. A 429 ends a series of failures: the upstream answers.
    pub(super) fn failed(&mut self, error: &UpstreamError, now: Duration) {
        if matches!(error, UpstreamError::Busy { .. }) {
            self.failing = None;
        } else {
            let failing = self.failing.get_or_insert(FailingCalls { since: now, count: 0 });
            failing.count += 1;
        }
        let outcome = error.outcome();
        self.last_error = Some(LastUpstreamError { at: now, outcome, cause: cause(error) });
    }
}

/// Returns the innermost cause, which names what an operator can act on.
fn cause(error: &UpstreamError) -> String {
    if let UpstreamError::Auth { status: Some(status) } = error {
        return format!("status {status}");
    }
    let mut innermost: &dyn Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;
    use crate::upstream::{BadAnswer, RateFields};

    #[test]
    fn failures_count_from_the_first_one_until_the_upstream_answers() {
        let mut health = UpstreamHealth::default();
        let at = Duration::from_secs;
        let status = StatusCode::BAD_GATEWAY;
        health.failed(&UpstreamError::Timeout { after: at(10) }, at(3));
        health.failed(&UpstreamError::Bad(BadAnswer::Status { status }), at(5));
        assert_eq!(health.failing, Some(FailingCalls { since: at(3), count: 2 }));
        let last = health.last_error.clone().unwrap();
        assert_eq!((last.at, last.outcome), (at(5), UpstreamOutcome::Bad));
        assert_eq!(last.cause, "unexpected status 502 Bad Gateway");
        health.failed(&UpstreamError::Busy { wait: at(1), fields: RateFields::default() }, at(6));
        assert_eq!(health.failing, None);
        health.failed(&UpstreamError::Auth { status: Some(StatusCode::UNAUTHORIZED) }, at(7));
        assert_eq!(health.last_error.clone().unwrap().cause, "status 401 Unauthorized");
        health.worked();
        assert_eq!((health.failing, health.last_error.is_some()), (None, true));
    }
}
