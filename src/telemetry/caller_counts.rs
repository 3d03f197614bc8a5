//! Requests of each caller in the time that the dashboard shows.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Number of callers that are reported.
const LISTED_MAX: usize = 20;

/// Requests of one caller for lists and versions.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct CallerCounts {
    /// Number of requests.
    pub requests: u64,
    /// Number of requests for which the cache was looked up.
    pub lookups: u64,
    /// Number of requests answered from the cache, fresh or stale.
    pub hits: u64,
    /// Number of requests that failed with a 5xx.
    pub failed: u64,
    /// Number of requests that failed with a 401.
    pub unauthorized: u64,
    /// Number of requests that a limit refused, or would have refused without a dry run, of any route.
    pub throttled: u64,
}

/// A caller and its requests.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct CallerRow {
    /// Configured name, `jwt`, `anonymous` or `none`.
    pub caller: String,
    #[serde(flatten)]
    pub counts: CallerCounts,
}

impl CallerCounts {
    /// Counts requests with these labels of `ikgate_requests_total`.
    pub(super) fn add_requests(&mut self, cache: &str, status: &str, count: u64) {
        self.requests += count;
        if cache != "none" {
            self.lookups += count;
        }
        if matches!(cache, "hit" | "stale") {
            self.hits += count;
        }
        if status.starts_with('5') {
            self.failed += count;
        }
        if status == "401" {
            self.unauthorized += count;
        }
    }

    fn add(&mut self, other: Self) {
        self.requests += other.requests;
        self.lookups += other.lookups;
        self.hits += other.hits;
        self.failed += other.failed;
        self.unauthorized += other.unauthorized;
        self.throttled += other.throttled;
    }
}

/// Returns the sums of all intervals for the callers with the most requests, most first.
pub(super) fn busiest(intervals: &[&BTreeMap<String, CallerCounts>]) -> Vec<CallerRow> {
    let mut sums: BTreeMap<&str, CallerCounts> = BTreeMap::new();
    for (caller, counts) in intervals.iter().copied().flatten() {
        sums.entry(caller).or_default().add(*counts);
    }
    let mut rows: Vec<_> = sums
        .into_iter()
        .map(|(caller, counts)| CallerRow { caller: caller.to_owned(), counts })
        .collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.counts.requests.max(row.counts.throttled)));
    rows.truncate(LISTED_MAX);
    rows
}
