//! History of the last quarter of an hour for the dashboard: counts per interval, and values at
//! its end.
//!
//! It is made from the same text that Prometheus scrapes, so that both show the same numbers.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::caller_counts::{CallerCounts, CallerRow, busiest};
use super::percentiles::{Buckets, Percentiles};

/// Interval of one point of the dashboard. A shorter one shows more of a spike; each point costs
/// one scrape.
pub const INTERVAL: Duration = Duration::from_secs(5);

/// Number of points: a quarter of an hour.
const POINTS_MAX: usize = 180;

/// Samples of one scrape: name, labels, and value or increase.
type Scraped<'a> = Vec<(&'a str, BTreeMap<&'a str, &'a str>, f64)>;

/// One interval of the dashboard.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Point {
    /// End of the interval, in Unix seconds.
    pub at: u64,
    /// Requests for lists and versions, by cache result.
    pub requests: BTreeMap<String, u64>,
    /// Number of those requests that failed with a 5xx.
    pub failed: u64,
    /// Number of those requests that were served without the upstream call that each would have
    /// needed: hits, stale responses, and requests that shared the call of another. A response
    /// that failed saves nothing.
    pub saved: u64,
    /// Errors that the gateway made itself, by code.
    pub errors: BTreeMap<String, u64>,
    /// Refused credentials, by reason.
    pub auth_failures: BTreeMap<String, u64>,
    /// Requests of each caller, which [`History::callers`] sums up.
    #[serde(skip)]
    pub callers: BTreeMap<String, CallerCounts>,
    /// Requests that a limit refused, or would have refused without a dry run, by caller.
    pub throttled: BTreeMap<String, u64>,
    /// Calls to ImageKit by outcome, and those that were not made.
    pub upstream: BTreeMap<String, u64>,
    /// Number of purges.
    pub invalidations: u64,
    /// Duration of hits. `None`: there were no hits.
    pub hits: Option<Percentiles>,
    /// Duration of misses. `None`: there were no misses.
    pub misses: Option<Percentiles>,
    /// Number of open connections.
    pub connections: u64,
    /// Resident memory of the process, in bytes.
    pub resident_bytes: u64,
    /// Memory of the stored responses, in bytes.
    pub cache_bytes: u64,
    /// Number of stored responses.
    pub cache_entries: u64,
    /// Number of files that are being fetched.
    pub fills_in_progress: u64,
    /// Number of upstream calls that the budget allows.
    pub budget_available: u64,
    /// State of the circuit breaker: 0 closed, 1 half open, 2 open.
    pub breaker_state: u64,
    /// State of the fleet connection: 0 no fleet, 1 connected, 2 cut off.
    pub cluster_state: u64,
    /// Number of gateways in the fleet.
    pub cluster_nodes: u64,
    /// Seconds from sending a heartbeat to reading it back.
    pub cluster_lag_seconds: f64,
    /// Number of purges that wait to be published.
    pub cluster_pending_purges: u64,
    /// Number of log lines that could not be written.
    pub log_lines_dropped: u64,
    /// Webhooks by outcome.
    #[serde(skip)]
    pub webhooks: BTreeMap<String, u64>,
    /// Requests for lists and versions that got 429, by caller. `throttled` also counts what
    /// `limits.dry_run` lets pass.
    #[serde(skip)]
    pub refused: BTreeMap<String, u64>,
    /// Connections that were closed because their address had `server.max_connections_per_ip`.
    pub connections_refused: u64,
}

/// Points of the last quarter of an hour, oldest first.
#[derive(Default)]
pub struct History(Mutex<Points>);

#[derive(Default)]
struct Points {
    points: VecDeque<Point>,
    /// Counters at the end of the last point, by name and labels.
    counters: BTreeMap<String, f64>,
}

impl History {
    /// Adds a scrape, and the error codes since the last one. The first scrape only sets where
    /// counting begins. `at`: Unix seconds.
    pub fn note(&self, scraped: &str, errors: BTreeMap<String, u64>, at: u64) {
        let mut kept = self.0.lock();
        let counters: BTreeMap<_, _> =
            lines(scraped).map(|(key, value)| (key.to_owned(), value)).collect();
        let before = std::mem::replace(&mut kept.counters, counters);
        if before.is_empty() {
            return;
        }
        let point = Point { errors, ..point(scraped, &before, at) };
        if kept.points.len() == POINTS_MAX {
            kept.points.pop_front();
        }
        kept.points.push_back(point);
    }

    /// Returns the points, oldest first.
    pub fn points(&self) -> Vec<Point> {
        self.0.lock().points.iter().cloned().collect()
    }

    /// Returns the callers with the most requests in all points.
    pub fn callers(&self) -> Vec<CallerRow> {
        let kept = self.0.lock();
        let intervals: Vec<_> = kept.points.iter().map(|point| &point.callers).collect();
        busiest(&intervals)
    }
}

fn lines(scraped: &str) -> impl Iterator<Item = (&str, f64)> {
    let samples = scraped.lines().filter(|line| !line.starts_with('#'));
    samples.filter_map(|line| {
        let (key, value) = line.rsplit_once(' ')?;
        Some((key, value.parse().ok()?))
    })
}

fn parsed<'a>(scraped: &'a str, before: &BTreeMap<String, f64>) -> Scraped<'a> {
    lines(scraped)
        .map(|(key, value)| {
            let (name, labels) = key.split_once('{').unwrap_or((key, ""));
            // Label values are words of closed sets or configured names, which hold no comma.
            let labels = labels.trim_end_matches('}').split(',').filter_map(|label| {
                let (name, value) = label.split_once('=')?;
                Some((name, value.trim_matches('"')))
            });
            let is_gauge = !(name.ends_with("_total") || name.ends_with("_bucket"));
            let since = if is_gauge { 0.0 } else { before.get(key).copied().unwrap_or_default() };
            (name, labels.collect(), value - since)
        })
        .collect()
}

fn point(scraped: &str, before: &BTreeMap<String, f64>, at: u64) -> Point {
    let mut point = Point { at, ..Point::default() };
    let (mut hits, mut misses) = (Buckets::default(), Buckets::default());
    for (name, labels, value) in parsed(scraped, before) {
        let label = |name: &str| labels.get(name).copied().unwrap_or_default();
        let count = whole(value);
        let add = |to: &mut BTreeMap<String, u64>, key: &str| {
            if count > 0 {
                *to.entry(key.to_owned()).or_default() += count;
            }
        };
        match name {
            "ikgate_requests_total" if matches!(label("route"), "list" | "element") => {
                add(&mut point.requests, label("cache"));
                if label("status") == "429" {
                    add(&mut point.refused, label("caller"));
                }
                if label("status").starts_with('5') {
                    point.failed += count;
                }
                if is_saved(label("cache"), label("status")) {
                    point.saved += count;
                }
                if count > 0 {
                    let caller = point.callers.entry(label("caller").to_owned()).or_default();
                    caller.add_requests(label("cache"), label("status"), count);
                }
            }
            "ikgate_request_duration_seconds_bucket" => {
                let buckets = match label("cache") {
                    "hit" | "stale" => &mut hits,
                    "miss" | "collapsed" => &mut misses,
                    _ => continue,
                };
                let bound = label("le").parse().ok().filter(|bound: &f64| bound.is_finite());
                buckets.add(bound.map(|bound| whole(bound * 1e9)), count);
            }
            "ikgate_throttled_total" => {
                add(&mut point.throttled, label("caller"));
                if count > 0 {
                    let caller = point.callers.entry(label("caller").to_owned()).or_default();
                    caller.throttled += count;
                }
            }
            "ikgate_auth_failures_total" => add(&mut point.auth_failures, label("reason")),
            "ikgate_webhooks_total" => add(&mut point.webhooks, label("outcome")),
            "ikgate_log_lines_dropped_total" => point.log_lines_dropped = count,
            "ikgate_connections_refused_total" if label("reason") == "per_ip" => {
                point.connections_refused = count;
            }
            "ikgate_upstream_requests_total" => add(&mut point.upstream, label("outcome")),
            "ikgate_invalidations_total" => point.invalidations += count,
            "ikgate_connections" => point.connections = count,
            "process_resident_memory_bytes" => point.resident_bytes = count,
            "ikgate_cache_bytes" => point.cache_bytes = count,
            "ikgate_cache_entries" => point.cache_entries = count,
            "ikgate_fills_in_progress" => point.fills_in_progress = count,
            "ikgate_upstream_budget_available" => point.budget_available = count,
            "ikgate_upstream_breaker_state" => point.breaker_state = count,
            "ikgate_cluster_state" => point.cluster_state = count,
            "ikgate_cluster_nodes" => point.cluster_nodes = count,
            "ikgate_cluster_lag_seconds" => point.cluster_lag_seconds = value,
            "ikgate_cluster_pending_purges" => point.cluster_pending_purges = count,
            _ => {}
        }
    }
    (point.hits, point.misses) = (hits.percentiles(), misses.percentiles());
    point
}

/// Returns whether a request with these labels was served without an upstream call of its own.
///
/// A collapsed request whose shared call failed was not served, and one whose client left (499) may
/// not have been. The panel of the Grafana dashboard has the same rule.
fn is_saved(cache: &str, status: &str) -> bool {
    matches!(cache, "hit" | "stale" | "stale_error" | "collapsed")
        && !status.starts_with('5')
        && status != "499"
}

/// Returns a count or size as a whole number; negative values become 0.
fn whole(value: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is rounded and not negative; beyond 2^53 a chart does not show the difference"
    )]
    let whole = value.max(0.0).round() as u64;
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scrape(hits: u64, slow: u64, connections: u64) -> String {
        let all = hits + slow;
        format!(
            "# TYPE ikgate_requests_total counter\n\
             ikgate_requests_total{{route=\"list\",caller=\"a\",status=\"200\",cache=\"hit\"}} {all}\n\
             ikgate_requests_total{{route=\"list\",caller=\"b\",status=\"502\",cache=\"miss\"}} 3\n\
             ikgate_requests_total{{route=\"none\",caller=\"none\",status=\"404\",cache=\"none\"}} 9\n\
             ikgate_request_duration_seconds_bucket{{le=\"0.001\",route=\"list\",cache=\"hit\"}} {hits}\n\
             ikgate_request_duration_seconds_bucket{{le=\"2.5\",route=\"list\",cache=\"hit\"}} {all}\n\
             ikgate_request_duration_seconds_bucket{{le=\"+Inf\",route=\"list\",cache=\"hit\"}} {all}\n\
             ikgate_connections {connections}\n\
             ikgate_cluster_state 1\n\
             ikgate_cluster_nodes 3\n\
             ikgate_cluster_lag_seconds 0.0004\n\
             ikgate_cluster_pending_purges 2\n"
        )
    }

    #[test]
    fn a_point_is_what_happened_since_the_last_and_what_is_now() {
        let history = History::default();
        history.note(&scrape(100, 0, 7), BTreeMap::new(), 1000);
        assert_eq!(history.points(), []);
        let errors = BTreeMap::from([("upstream_bad".to_owned(), 3)]);
        history.note(&scrape(190, 10, 5), errors.clone(), 1005);
        history.note(&scrape(190, 10, 4), BTreeMap::new(), 1010);
        let points = history.points();
        let [busy, quiet] = points.as_slice() else { panic!("{points:?}") };
        assert_eq!((busy.at, busy.connections, busy.failed), (1005, 5, 0));
        assert_eq!(busy.requests, BTreeMap::from([("hit".to_owned(), 100)]));
        let hits = busy.hits.unwrap();
        assert!(hits.p50 < hits.p90 && hits.p90 <= 1.0 && hits.p99 > 2000.0, "{hits:?}");
        assert_eq!((busy.saved, &busy.errors), (100, &errors));
        let [caller] = &history.callers()[..] else { panic!("{:?}", history.callers()) };
        assert_eq!((&*caller.caller, caller.counts.hits, caller.counts.lookups), ("a", 100, 100));
        assert_eq!((busy.misses, quiet.hits, quiet.connections), (None, None, 4));
        assert_eq!(quiet.requests, BTreeMap::new());
        assert_eq!(
            (busy.cluster_state, busy.cluster_nodes, busy.cluster_pending_purges),
            (1, 3, 2)
        );
        assert!((busy.cluster_lag_seconds - 0.0004).abs() < f64::EPSILON, "{busy:?}");
    }

    #[test]
    fn it_holds_a_quarter_of_an_hour_and_no_more() {
        let history = History::default();
        for second in 0..1000 {
            history.note(&scrape(second, 0, 1), BTreeMap::new(), second);
        }
        let points = history.points();
        assert_eq!((points.len(), points[0].at, points[179].at), (180, 820, 999));
    }
}
