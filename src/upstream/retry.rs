//! When a call that failed is worth repeating, as pure decisions.

use std::time::Duration;

use http::StatusCode;

use super::error::{BadAnswer, UpstreamError};

/// How much may be repeated.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RetrySettings {
    /// Of one fill, besides its first call.
    pub max: u32,
    /// Of recent calls, in percent: when everything fails, repeating everything only doubles it.
    pub budget_percent: u32,
}

/// Retries that may be saved up: an outage that begins after a quiet time is no reason for more.
const SAVED_MAX: u32 = 10;

/// The longest that the first retry waits; the next ones up to twice as long each.
const BACKOFF: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(1);

/// What may be repeated, in hundredths of a retry.
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

    /// A call was made.
    pub(super) fn called(&mut self) {
        self.saved = (self.saved + self.settings.budget_percent).min(SAVED_MAX * 100);
    }

    /// Whether a fill may call once more that has retried so many times.
    pub(super) fn take(&mut self, retried: u32) -> bool {
        if retried >= self.settings.max || self.saved < 100 {
            return false;
        }
        self.saved -= 100;
        true
    }
}

/// How long to wait before a retry: anything up to the backoff ("full jitter"), so that what
/// failed together does not come again together. `draw`: from none (0) to all (`u16::MAX`).
pub(super) fn backoff(retried: u32, draw: u16) -> Duration {
    let most = BACKOFF.saturating_mul(1 << retried.min(10)).min(BACKOFF_MAX);
    most * u32::from(draw) / u32::from(u16::MAX)
}

/// Whether another try may go better: the upstream was not there, or said that it was not.
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
        // The first call adds nothing: all is saved that may be.
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
