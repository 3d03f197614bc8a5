//! Rate limit of the sandbox, as seen at ImageKit: a number of requests in a fixed interval, and
//! three response fields. Times are in milliseconds. No field tells how many requests are left.

use std::num::NonZeroU32;
use std::time::Duration;

use http::header::HeaderName;
use http::{HeaderMap, HeaderValue};

const INTERVAL: Duration = Duration::from_secs(1);

/// Request count of the current interval.
pub(super) struct RateWindow {
    limit: NonZeroU32,
    interval: Option<u128>,
    spent: u32,
}

/// Values of the rate-limit fields of a response.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct RateLimitFields {
    limit: u32,
    reset_millis: u64,
}

impl RateWindow {
    pub(super) fn new(limit: NonZeroU32) -> Self {
        Self { limit, interval: None, spent: 0 }
    }

    /// Spends one request at `now`, if one is left in this interval.
    pub(super) fn spend(&mut self, now: Duration) -> (bool, RateLimitFields) {
        let interval = now.as_nanos() / INTERVAL.as_nanos();
        if self.interval != Some(interval) {
            self.interval = Some(interval);
            self.spent = 0;
        }
        let left = self.spent < self.limit.get();
        self.spent += u32::from(left);
        let end = (interval + 1) * INTERVAL.as_nanos();
        let reset = (end - now.as_nanos()).div_ceil(1_000_000);
        let reset_millis = u64::try_from(reset).unwrap_or(u64::MAX);
        (left, RateLimitFields { limit: self.limit.get(), reset_millis })
    }
}

impl RateLimitFields {
    pub(super) fn write(self, fields: &mut HeaderMap) {
        let interval = u64::try_from(INTERVAL.as_millis()).unwrap_or(u64::MAX);
        for (name, value) in [
            ("x-ratelimit-limit", u64::from(self.limit)),
            ("x-ratelimit-reset", self.reset_millis),
            ("x-ratelimit-interval", interval),
        ] {
            fields.insert(HeaderName::from_static(name), HeaderValue::from(value));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_holds_within_an_interval_and_reset_says_when_the_next_begins() {
        let mut window = RateWindow::new(NonZeroU32::new(2).unwrap());
        let at = Duration::from_millis;
        assert_eq!(
            window.spend(at(5_250)),
            (true, RateLimitFields { limit: 2, reset_millis: 750 })
        );
        assert!(window.spend(at(5_999)).0);
        assert_eq!(window.spend(at(5_999)), (false, RateLimitFields { limit: 2, reset_millis: 1 }));
        assert_eq!(
            window.spend(at(6_000)),
            (true, RateLimitFields { limit: 2, reset_millis: 1000 })
        );
    }
}
