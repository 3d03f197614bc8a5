//! Percentiles of a histogram, interpolated within its buckets as Prometheus does in
//! `histogram_quantile`.
//!
//! Without interpolation, p50, p90 and p99 are all the bound of one bucket whenever most durations
//! are in it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Percentiles of durations, in milliseconds.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub struct Percentiles {
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
}

/// Number of durations up to each bound.
#[derive(Debug, Default)]
pub(super) struct Buckets(BTreeMap<u64, u64>);

/// Bound of the last bucket. A larger bound, such as `+Inf`, is read as this value.
const UNBOUNDED: u64 = u64::MAX;

impl Buckets {
    /// Adds durations of at most `bound` nanoseconds; `None`: of any length.
    pub(super) fn add(&mut self, bound: Option<u64>, count: u64) {
        *self.0.entry(bound.unwrap_or(UNBOUNDED)).or_default() += count;
    }

    /// Returns the percentiles, or `None` if there are no durations.
    pub(super) fn percentiles(&self) -> Option<Percentiles> {
        let (_, &all) = self.0.last_key_value()?;
        (all > 0).then(|| Percentiles {
            p50: self.percentile(all, 50),
            p90: self.percentile(all, 90),
            p99: self.percentile(all, 99),
        })
    }

    /// Returns one percentile of `all` durations, in milliseconds. In the unbounded last bucket it
    /// is the bound of the bucket before.
    fn percentile(&self, all: u64, percent: u64) -> f64 {
        // In hundredths of a duration.
        let rank = u128::from(all) * u128::from(percent);
        let (mut lower, mut below) = (0, 0);
        for (&bound, &count) in &self.0 {
            let up_to = u128::from(count) * 100;
            if up_to >= rank || bound == UNBOUNDED {
                let width = u128::from(if bound == UNBOUNDED { 0 } else { bound - lower });
                let inside = width * (rank - below) / (up_to - below).max(1);
                let nanos = lower + u64::try_from(inside).unwrap_or(0);
                return Duration::from_nanos(nanos).as_secs_f64() * 1000.0;
            }
            (lower, below) = (bound, up_to);
        }
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_of_one_bucket_differ() {
        let mut buckets = Buckets::default();
        for (bound, count) in [(Some(1_000_000), 0), (Some(2_000_000), 100), (None, 100)] {
            buckets.add(bound, count);
        }
        let expected = Percentiles { p50: 1.5, p90: 1.9, p99: 1.99 };
        assert_eq!(buckets.percentiles(), Some(expected));
    }

    #[test]
    fn a_percentile_beyond_the_last_bound_is_that_bound() {
        let mut buckets = Buckets::default();
        assert_eq!(buckets.percentiles(), None);
        for (bound, count) in [(Some(1_000_000), 60), (None, 100)] {
            buckets.add(bound, count);
        }
        let found = buckets.percentiles().unwrap();
        assert_eq!((found.p90, found.p99), (1.0, 1.0));
        assert!((found.p50 - 0.833_333).abs() < 1e-9, "{found:?}");
    }
}
