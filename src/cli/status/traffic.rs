//! Sums of the statistics over a period, by the formulas of the dashboard
//! (`src/admin/dashboard/format.js` and `tiles.js`).

use super::numbers::real;
use crate::telemetry::Point;

/// Requests for lists and versions in one period.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Traffic {
    seconds: u64,
    requests: u64,
    lookups: u64,
    hits: u64,
    failed: u64,
    saved: u64,
    throttled: u64,
}

impl Traffic {
    /// Sums up points, each of which is about `interval` seconds.
    pub(super) fn of(points: &[Point], interval: u64) -> Self {
        let mut sums = Self::default();
        for point in points {
            let outcome = |name: &str| point.requests.get(name).copied().unwrap_or_default();
            let requests: u64 = point.requests.values().sum();
            sums.seconds += interval;
            sums.requests += requests;
            sums.lookups += requests - outcome("none");
            sums.hits += outcome("hit") + outcome("stale");
            sums.failed += point.failed;
            sums.saved += point.saved;
            sums.throttled += point.throttled.values().sum::<u64>();
        }
        sums
    }

    /// Length of the period, in seconds.
    pub(super) fn seconds(&self) -> u64 {
        self.seconds
    }

    /// Requests per second. `None`: the period is empty.
    pub(super) fn request_rate(&self) -> Option<f64> {
        self.rate(self.requests)
    }

    /// Share of requests that failed with a 5xx. `None`: the period is empty.
    pub(super) fn failed_share(&self) -> Option<f64> {
        (self.seconds > 0).then(|| ratio(self.failed, self.requests).unwrap_or_default())
    }

    /// Share of hits, fresh or stale, among the lookups. `None`: there were no lookups.
    pub(super) fn hit_ratio(&self) -> Option<f64> {
        ratio(self.hits, self.lookups)
    }

    /// Upstream calls saved per second.
    pub(super) fn saved_rate(&self) -> Option<f64> {
        self.rate(self.saved)
    }

    /// Requests per second that a limit refused.
    pub(super) fn throttled_rate(&self) -> Option<f64> {
        self.rate(self.throttled)
    }

    fn rate(&self, count: u64) -> Option<f64> {
        ratio(count, self.seconds)
    }
}

/// Returns `part / whole`, or `None` if the whole is 0.
pub(super) fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| real(part) / real(whole))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn ratios_are_those_of_the_dashboard() {
        let counts = [("hit", 6), ("stale", 1), ("miss", 2), ("stale_error", 1), ("none", 90)];
        let requests = counts.map(|(name, count)| (name.to_owned(), count)).into();
        let throttled = BTreeMap::from([("a".to_owned(), 5), ("b".to_owned(), 5)]);
        let point = Point { requests, throttled, failed: 2, saved: 8, ..Point::default() };
        let traffic = Traffic::of(&[point, Point::default()], 5);
        assert_eq!(traffic.hit_ratio(), Some(0.7));
        assert_eq!((traffic.request_rate(), traffic.throttled_rate()), (Some(10.0), Some(1.0)));
        assert_eq!((traffic.failed_share(), traffic.saved_rate()), (Some(0.02), Some(0.8)));
    }

    #[test]
    fn nothing_is_known_of_no_time_and_no_hit_ratio_of_no_requests() {
        let never = Traffic::of(&[], 5);
        assert_eq!((never.request_rate(), never.failed_share()), (None, None));
        let quiet = Traffic::of(&[Point::default()], 5);
        assert_eq!((quiet.request_rate(), quiet.failed_share()), (Some(0.0), Some(0.0)));
        assert_eq!(quiet.hit_ratio(), None);
    }
}
