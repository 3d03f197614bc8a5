//! Metrics of the gateway: the registry that a scrape reads, the counts of events, and the history
//! for the dashboard.

use std::time::Duration;

use parking_lot::Mutex;
use prometheus_client::registry::Registry;

use super::caller_counts::CallerRow;
use super::error_codes::ErrorCodes;
use super::exposition::Exposition;
use super::gauges::{GaugeValues, Gauges};
use super::history::{History, Point};
use super::outcome_counters::OutcomeCounters;
use super::process::ProcessCollector;
use super::request_counters::RequestCounters;
use super::series::{InvalidationLabels, Series, ThrottledLabels};
use super::top::{FileCount, TopFiles};
use crate::cache::PurgeMode;
use crate::exchange::CallerLabel;
use crate::invalidation::{InvalidationSource, WebhookOutcome};
use crate::upstream::UpstreamOutcome;

/// Counters and gauges of the gateway.
pub struct Metrics {
    registry: Registry,
    series: Series,
    /// Counters of events that have an outcome only.
    pub(super) outcomes: OutcomeCounters,
    /// Counters of answered requests.
    pub(super) request_counters: RequestCounters,
    gauges: Gauges,
    /// Most requested files.
    pub(super) requested: TopFiles,
    /// Most fetched files.
    pub(super) fetched: TopFiles,
    /// Error codes since the last point.
    pub(super) error_codes: ErrorCodes,
    /// Points for the dashboard.
    history: History,
    // One scrape at a time: the gauges are set and then read.
    scrape: Mutex<()>,
}

/// Metrics of the last quarter of an hour.
#[derive(Debug)]
pub struct RecentMetrics {
    /// Points, oldest first.
    pub points: Vec<Point>,
    /// Callers with the most requests.
    pub callers: Vec<CallerRow>,
    /// Most requested files.
    pub requested: Vec<FileCount>,
    /// Most fetched files.
    pub fetched: Vec<FileCount>,
}

impl Metrics {
    #[expect(clippy::new_without_default, reason = "a default would suggest that two are the same")]
    /// Returns new metrics; counters with a closed set of labels begin at 0.
    pub fn new() -> Self {
        let mut registry = Registry::default();
        let own = registry.sub_registry_with_prefix("ikgate");
        let series = Series::registered(own);
        begin_at_zero(&series);
        let outcomes = OutcomeCounters::registered(own);
        let gauges = Gauges::registered(own);
        let of_process = registry.sub_registry_with_prefix("process");
        of_process.register_collector(Box::new(ProcessCollector));
        Self {
            request_counters: RequestCounters::new(&series),
            gauges,
            series,
            outcomes,
            requested: TopFiles::default(),
            fetched: TopFiles::default(),
            error_codes: ErrorCodes::default(),
            history: History::default(),
            scrape: Mutex::new(()),
            registry,
        }
    }

    /// Returns the labels of these callers, in their order. A known name keeps its label.
    pub fn label_callers(
        &self,
        names: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Vec<CallerLabel> {
        self.request_counters.label_callers(names)
    }

    pub(super) fn throttled(&self, caller: usize, limit: &'static str) {
        let caller = self.request_counters.caller_name(caller).unwrap_or_default().to_string();
        let labels = ThrottledLabels { caller, limit };
        self.series.throttled.get_or_create(&labels).inc();
    }

    pub(super) fn called_upstream(&self, outcome: &'static str, took: Option<Duration>) {
        self.series.upstream_requests.of(outcome).inc();
        if let Some(took) = took {
            self.series.upstream_duration.observe(took.as_secs_f64());
        }
    }

    pub(super) fn invalidated(&self, source: &'static str, kind: &'static str) {
        self.series.invalidations.get_or_create(&InvalidationLabels { source, kind }).inc();
    }

    pub(super) fn webhook_delivered(&self, outcome: Option<WebhookOutcome>, unix_seconds: u64) {
        self.series.webhooks.of(outcome.map_or("unknown", WebhookOutcome::as_str)).inc();
        if outcome.is_some_and(WebhookOutcome::is_genuine) {
            self.series.webhook_last.set(i64::try_from(unix_seconds).unwrap_or(i64::MAX));
        }
    }

    /// Adds a scrape to the history. `now`: monotonic time; `at`: Unix time.
    pub fn note(&self, scraped: &str, now: Duration, at: Duration) {
        self.history.note(scraped, self.error_codes.take(), at.as_secs());
        self.requested.age(now);
        self.fetched.age(now);
    }

    /// Returns the metrics of the last quarter of an hour.
    pub fn recent(&self) -> RecentMetrics {
        RecentMetrics {
            points: self.history.points(),
            callers: self.history.callers(),
            requested: self.requested.most(),
            fetched: self.fetched.most(),
        }
    }

    /// Returns all series as text, with these values.
    pub fn expose(&self, values: &GaugeValues, exposition: Exposition) -> String {
        let _one_at_a_time = self.scrape.lock();
        self.gauges.set(values);
        exposition.encode(&self.registry)
    }
}

/// Creates the series with a closed set of labels at 0. Prometheus sees no increase in a series
/// that appears with its first event.
fn begin_at_zero(series: &Series) {
    for outcome in UpstreamOutcome::ALL {
        series.upstream_requests.of(outcome.as_str());
    }
    for outcome in WebhookOutcome::ALL {
        series.webhooks.of(outcome.as_str());
    }
    for (source, mode) in InvalidationSource::ALL
        .into_iter()
        .flat_map(|source| PurgeMode::ALL.map(|mode| (source, mode)))
    {
        let labels = InvalidationLabels { source: source.as_str(), kind: mode.as_str() };
        drop(series.invalidations.get_or_create(&labels));
    }
}
