//! Retry policy, as pure decisions: which errors, how many retries, and the backoff.

use std::time::Duration;

use http::StatusCode;

use super::error::{BadAnswer, UpstreamError};

/// Limits of retries.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RetrySettings {
    /// Most retries of one fill.
    pub max: u32,
    /// Retries as a percentage of recent calls. In an outage, unlimited retries would double the
    /// load.
    pub budget_percent: u32,
}

/// Most retries that can be saved up. Without it, an outage after a quiet time would cause a burst.
const SAVED_MAX: u32 = 10;

/// Longest wait before the first retry. It doubles with each retry, up to `BACKOFF_MAX`.
const BACKOFF: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(1);

/// Retry budget, in hundredths of a retry.
#[derive(Debug)]
pub(super) struct RetryBudget {
    settings: RetrySettings,
    saved: u32,
}

impl RetryBudget {
    pub(super) fn new(settings: RetrySettings) -> Self {
        let saved = if settings.budget_percent == 0 { 0 } else { SAVED_MAX * 100 };
        Self { settings, saved }
    }

    /// Adds the share of one call to the budget.
    pub(super) fn called(&mut self) {
        self.saved = (self.saved + self.settings.budget_percent).min(SAVED_MAX * 100);
    }

    /// Takes one retry. Returns false if the fill has used its retries, or the budget is empty.
    pub(super) fn take(&mut self, retried: u32) -> bool {
        if retried >= self.settings.max || self.saved < 100 {
            return false;
        }
        self.saved -= 100;
        true
    }
}

/// Returns the wait before a retry: a random part of the backoff ("full jitter").
///
/// Calls that failed together therefore do not return together. `draw` selects the part: 0 for
/// none, `u16::MAX` for all.
pub(super) fn backoff(retried: u32, draw: u16) -> Duration {
    let most = BACKOFF.saturating_mul(1 << retried.min(10)).min(BACKOFF_MAX);
    most * u32::from(draw) / u32::from(u16::MAX)
}

/// Returns whether a retry may succeed: the upstream was down, or said so.
pub(super) fn is_worthwhile(error: &UpstreamError) -> bool {
    match error {
        UpstreamError::Unreachable { .. } => true,
        UpstreamError::Bad(BadAnswer::Status { status }) => matches!(
            *status,
            StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT
        ),
        UpstreamError::Auth { .. }
        | UpstreamError::Bad(_)
        | UpstreamError::BreakerOpen(_)
        | UpstreamError::Busy { .. }
        | UpstreamError::QueueFull(_)
        | UpstreamError::Spent(_)
        | UpstreamError::Timeout { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_are_a_share_of_the_calls_once_what_was_saved_is_gone() {
        let mut budget = RetryBudget::new(RetrySettings { max: 2, budget_percent: 20 });
        let mut retries = 0;
        // The first call adds nothing: the saved retries are at their maximum.
        for _ in 0..1001 {
            budget.called();
            retries += u32::from(budget.take(0));
        }
        assert_eq!(retries, SAVED_MAX + 200);
        assert!(!budget.take(0));
    }

    #[test]
    fn one_fill_retries_so_many_times_and_none_where_none_may() {
        let mut budget = RetryBudget::new(RetrySettings { max: 2, budget_percent: 20 });
        assert!(budget.take(0) && budget.take(1) && !budget.take(2));
        for settings in [
            RetrySettings { max: 0, budget_percent: 20 },
            RetrySettings { max: 2, budget_percent: 0 },
        ] {
            let mut none = RetryBudget::new(settings);
            none.called();
            assert!(!none.take(0), "{settings:?}");
        }
    }

    #[test]
    fn the_wait_grows_to_a_second_and_may_be_none() {
        let longest = |retried| backoff(retried, u16::MAX).as_millis();
        assert_eq!([0, 1, 2, 3, 4, 99].map(longest), [100, 200, 400, 800, 1000, 1000]);
        assert_eq!(backoff(3, 0), Duration::ZERO);
    }
}
