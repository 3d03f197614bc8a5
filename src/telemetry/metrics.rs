//! Every series, made once. Labels come from closed sets or configured names, never from what a
//! caller sent.

use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric as _};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use super::exposition::Exposition;
use crate::exchange::{CacheLabel, CallerLabel, RouteLabel};
use crate::invalidation::WebhookOutcome;
use crate::message::Coding;

/// From a hit on a fast machine to the longest wait that makes sense, in seconds.
const DURATION_BUCKETS: [f64; 17] = [
    0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1,
    0.25, 0.5, 1.0, 2.5, 10.0,
];

/// The statuses that answers have. 499 stands for a client that left before one was made.
const STATUSES: [u16; 18] =
    [200, 204, 304, 400, 401, 403, 404, 405, 408, 413, 421, 429, 431, 499, 500, 502, 503, 504];
const CLIENT_GONE: u16 = 499;

/// In which a request can go.
const WAYS: usize = RouteLabel::ALL.len() * CacheLabel::ALL.len();

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct RequestLabels {
    route: &'static str,
    caller: String,
    status: u16,
    cache: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct DurationLabels {
    route: &'static str,
    cache: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct CodingLabels {
    coding: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct ThrottledLabels {
    caller: String,
    limit: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct ReasonLabels {
    reason: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct DeadlineLabels {
    deadline: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct OutcomeLabels {
    outcome: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct InvalidationLabels {
    source: &'static str,
    kind: &'static str,
}

/// What is read when somebody asks, rather than counted as it happens.
#[derive(Clone, Copy, Debug, Default)]
pub struct Readings {
    pub cache_entries: u64,
    pub cache_bytes: u64,
    pub cache_evictions: u64,
    pub fills_in_progress: usize,
    pub connections: usize,
    pub tracked_callers: usize,
    pub dropped_log_lines: usize,
    pub budget_available: u32,
    /// 0 closed, 1 half open, 2 open.
    pub breaker_state: u8,
    /// Seconds; less than none once it has. `None`: there is no TLS.
    pub tls_expires_in: Option<i64>,
}

/// A series that is only there while there is TLS: zero seconds would be an alarm.
#[derive(Clone, Debug, Default)]
struct TlsExpiry(Arc<Mutex<Option<i64>>>);

impl Collector for TlsExpiry {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let Some(seconds) = *self.0.lock() else { return Ok(()) };
        let (name, help) = ("tls_expiry", "Until the certificate expires");
        let gauge = ConstGauge::new(seconds);
        let encoder =
            encoder.encode_descriptor(name, help, Some(&Unit::Seconds), gauge.metric_type())?;
        gauge.encode(encoder)
    }
}

#[derive(Default)]
struct Gauges {
    cache_entries: Gauge,
    cache_bytes: Gauge,
    cache_evictions: Counter,
    fills_in_progress: Gauge,
    connections: Gauge,
    tracked_callers: Gauge,
    dropped_log_lines: Counter,
    budget_available: Gauge,
    breaker_state: Gauge,
    tls_expires_in: TlsExpiry,
}

/// The counters, and how they are read.
pub struct Metrics {
    registry: Registry,
    /// By number. Only ever grows, by the names that configurations bring: a number that is in
    /// an event means the same name whenever the event comes.
    callers: ArcSwap<Vec<Arc<CallerCells>>>,
    requests: Family<RequestLabels, Counter>,
    durations: Family<DurationLabels, Histogram>,
    duration_cells: Vec<OnceLock<Histogram>>,
    /// By coding.
    response_bytes: [Counter; Coding::ALL.len()],
    throttled: Family<ThrottledLabels, Counter>,
    auth_failures: Family<ReasonLabels, Counter>,
    upstream_requests: Family<OutcomeLabels, Counter>,
    upstream_duration: Histogram,
    invalidations: Family<InvalidationLabels, Counter>,
    webhooks: Family<OutcomeLabels, Counter>,
    webhook_last: Gauge,
    config_reloads: Family<OutcomeLabels, Counter>,
    connections_refused: Family<ReasonLabels, Counter>,
    connection_deadlines: Family<DeadlineLabels, Counter>,
    gauges: Gauges,
    labelling: Mutex<()>,
    // One scrape at a time: the gauges are set and then read.
    scrape: Mutex<()>,
}

/// The request counters of one caller by number: a hit must neither hash labels nor take the
/// family's lock.
struct CallerCells {
    name: String,
    requests: Vec<OnceLock<Counter>>,
}

/// One answered request, by number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Exchanged {
    pub(super) route: u64,
    pub(super) caller: u64,
    pub(super) cache: u64,
    pub(super) status: u64,
    pub(super) coding: u64,
    pub(super) bytes: u64,
    pub(super) took: Duration,
}

fn histogram() -> Histogram {
    Histogram::new(DURATION_BUCKETS)
}

impl Metrics {
    #[expect(clippy::new_without_default, reason = "a default would suggest that two are the same")]
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("ikgate");
        let bytes = Family::<CodingLabels, Counter>::default();
        let mut metrics = Self {
            requests: Family::default(),
            callers: ArcSwap::default(),
            duration_cells: cells(WAYS),
            durations: Family::new_with_constructor(histogram),
            response_bytes: Coding::ALL.map(|coding| {
                bytes.get_or_create(&CodingLabels { coding: coding.as_str() }).clone()
            }),
            throttled: Family::default(),
            auth_failures: Family::default(),
            upstream_requests: Family::default(),
            upstream_duration: histogram(),
            invalidations: Family::default(),
            webhooks: Family::default(),
            webhook_last: Gauge::default(),
            config_reloads: Family::default(),
            connections_refused: Family::default(),
            connection_deadlines: Family::default(),
            gauges: Gauges::default(),
            labelling: Mutex::new(()),
            scrape: Mutex::new(()),
            registry: Registry::default(),
        };
        registry.register("response_bytes", "Bytes of bodies sent", bytes);
        metrics.register(&mut registry);
        metrics.registry = registry;
        metrics.label_callers(CallerLabel::FIXED);
        metrics
    }

    /// The labels of these callers, in their order. A name that was labelled before keeps its own.
    pub fn label_callers(
        &self,
        names: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Vec<CallerLabel> {
        let _one_at_a_time = self.labelling.lock();
        let mut callers = Vec::clone(&self.callers.load());
        let mut label = |name: &str| {
            let known = callers.iter().position(|caller| caller.name == name);
            let place = known.unwrap_or_else(|| {
                let requests = cells(WAYS * STATUSES.len());
                callers.push(Arc::new(CallerCells { name: name.to_owned(), requests }));
                callers.len() - 1
            });
            CallerLabel(place as u64)
        };
        let labels = names.into_iter().map(|name| label(name.as_ref())).collect();
        self.callers.store(Arc::new(callers));
        labels
    }

    fn register(&self, registry: &mut Registry) {
        let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "Which ikgate this is", version);
        registry.register("requests", "Requests answered", self.requests.clone());
        registry.register_with_unit(
            "request_duration",
            "From a request's head to the end of its answer",
            Unit::Seconds,
            self.durations.clone(),
        );
        registry.register("throttled", "Requests refused for quota", self.throttled.clone());
        registry.register("auth_failures", "Credentials refused", self.auth_failures.clone());
        registry.register(
            "upstream_requests",
            "Calls to the upstream, and why others were not made",
            self.upstream_requests.clone(),
        );
        registry.register_with_unit(
            "upstream_duration",
            "Of a call to the upstream, from when it may leave",
            Unit::Seconds,
            self.upstream_duration.clone(),
        );
        registry.register("invalidations", "Invalidations asked for", self.invalidations.clone());
        registry.register("webhooks", "Webhooks delivered", self.webhooks.clone());
        registry.register_with_unit(
            "webhook_last",
            "When the last genuine webhook came, in Unix time",
            Unit::Seconds,
            self.webhook_last.clone(),
        );
        let reloads = self.config_reloads.clone();
        registry.register("config_reloads", "Reloads of the configuration asked for", reloads);
        registry.register(
            "connections_refused",
            "Connections that were not taken",
            self.connections_refused.clone(),
        );
        registry.register(
            "connection_deadlines",
            "Connections that were ended, by the deadline that they missed",
            self.connection_deadlines.clone(),
        );
        let gauges = &self.gauges;
        registry.register("cache_entries", "Stored responses", gauges.cache_entries.clone());
        registry.register("cache_bytes", "What they count", gauges.cache_bytes.clone());
        let evictions = gauges.cache_evictions.clone();
        registry.register("cache_evictions", "Stored responses dropped to make room", evictions);
        let fills = gauges.fills_in_progress.clone();
        registry.register("fills_in_progress", "Files being fetched now", fills);
        registry.register("connections", "Open connections", gauges.connections.clone());
        let tracked = gauges.tracked_callers.clone();
        registry.register("limiter_tracked_callers", "Anonymous callers told apart", tracked);
        let available = gauges.budget_available.clone();
        registry.register("upstream_budget_available", "Calls that could be spent now", available);
        registry.register(
            "upstream_breaker_state",
            "0: calls leave, 1: one to see, 2: none",
            gauges.breaker_state.clone(),
        );
        registry.register_collector(Box::new(gauges.tls_expires_in.clone()));
        let dropped = gauges.dropped_log_lines.clone();
        registry.register("log_lines_dropped", "Log lines that could not be written", dropped);
    }

    pub(super) fn exchanged(&self, exchanged: Exchanged) {
        let Exchanged { route, caller, cache, status, coding, bytes, took } = exchanged;
        let place = |number: u64, of: usize| usize::try_from(number).ok().filter(|&n| n < of);
        let callers = self.callers.load();
        let caller = usize::try_from(caller).ok().and_then(|number| callers.get(number));
        let Some(caller) = caller else { return };
        let Some(route) = place(route, RouteLabel::ALL.len()) else { return };
        let Some(cache) = place(cache, CacheLabel::ALL.len()) else { return };
        let status = u16::try_from(status).ok().filter(|&status| status != 0);
        let status = status.unwrap_or(CLIENT_GONE);
        let Some(status_place) = STATUSES.iter().position(|&known| known == status) else {
            debug_assert!(false, "status {status} is missing from the table");
            return;
        };
        let duration_place = route * CacheLabel::ALL.len() + cache;
        let cell_place = duration_place * STATUSES.len() + status_place;
        if let Some(cell) = caller.requests.get(cell_place) {
            cell.get_or_init(|| self.request_counter(route, &caller.name, status, cache)).inc();
        }
        if let Some(cell) = self.duration_cells.get(duration_place) {
            cell.get_or_init(|| self.duration(route, cache)).observe(took.as_secs_f64());
        }
        let coding = place(coding, Coding::ALL.len());
        if let Some(counter) = coding.and_then(|coding| self.response_bytes.get(coding)) {
            counter.inc_by(bytes);
        }
    }

    fn request_counter(&self, route: usize, caller: &str, status: u16, cache: usize) -> Counter {
        let (route, cache) = names(route, cache);
        let labels = RequestLabels { route, caller: caller.to_owned(), status, cache };
        self.requests.get_or_create(&labels).clone()
    }

    fn duration(&self, route: usize, cache: usize) -> Histogram {
        let (route, cache) = names(route, cache);
        self.durations.get_or_create(&DurationLabels { route, cache }).clone()
    }

    pub(super) fn throttled(&self, caller: usize, limit: &'static str) {
        let caller = self.callers.load().get(caller).map(|caller| caller.name.clone());
        let labels = ThrottledLabels { caller: caller.unwrap_or_default(), limit };
        self.throttled.get_or_create(&labels).inc();
    }

    pub(super) fn auth_failed(&self, reason: &'static str) {
        self.auth_failures.get_or_create(&ReasonLabels { reason }).inc();
    }

    pub(super) fn called_upstream(&self, outcome: &'static str, took: Option<Duration>) {
        self.upstream_requests.get_or_create(&OutcomeLabels { outcome }).inc();
        if let Some(took) = took {
            self.upstream_duration.observe(took.as_secs_f64());
        }
    }

    pub(super) fn invalidated(&self, source: &'static str, kind: &'static str) {
        self.invalidations.get_or_create(&InvalidationLabels { source, kind }).inc();
    }

    pub(super) fn webhook_delivered(&self, outcome: Option<WebhookOutcome>, unix_seconds: u64) {
        let name = outcome.map_or("unknown", WebhookOutcome::as_str);
        self.webhooks.get_or_create(&OutcomeLabels { outcome: name }).inc();
        if outcome.is_some_and(WebhookOutcome::is_genuine) {
            self.webhook_last.set(i64::try_from(unix_seconds).unwrap_or(i64::MAX));
        }
    }

    pub(super) fn config_reloaded(&self, outcome: &'static str) {
        self.config_reloads.get_or_create(&OutcomeLabels { outcome }).inc();
    }

    pub(super) fn refused(&self, reason: &'static str) {
        self.connections_refused.get_or_create(&ReasonLabels { reason }).inc();
    }

    pub(super) fn ended(&self, deadline: &'static str) {
        self.connection_deadlines.get_or_create(&DeadlineLabels { deadline }).inc();
    }

    /// All series as text, with these readings.
    pub fn expose(&self, readings: &Readings, exposition: Exposition) -> String {
        let _one_at_a_time = self.scrape.lock();
        let gauges = &self.gauges;
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        gauges.cache_entries.set(i64::try_from(readings.cache_entries).unwrap_or(i64::MAX));
        gauges.cache_bytes.set(i64::try_from(readings.cache_bytes).unwrap_or(i64::MAX));
        gauges.cache_evictions.inner().store(readings.cache_evictions, Ordering::Relaxed);
        gauges.fills_in_progress.set(number(readings.fills_in_progress));
        gauges.connections.set(number(readings.connections));
        gauges.tracked_callers.set(number(readings.tracked_callers));
        gauges.budget_available.set(i64::from(readings.budget_available));
        gauges.breaker_state.set(i64::from(readings.breaker_state));
        *gauges.tls_expires_in.0.lock() = readings.tls_expires_in;
        let dropped = readings.dropped_log_lines as u64;
        gauges.dropped_log_lines.inner().store(dropped, Ordering::Relaxed);
        exposition.encode(&self.registry)
    }
}

fn cells<T>(count: usize) -> Vec<OnceLock<T>> {
    std::iter::repeat_with(OnceLock::new).take(count).collect()
}

fn names(route: usize, cache: usize) -> (&'static str, &'static str) {
    let route = RouteLabel::ALL.get(route).copied().unwrap_or(RouteLabel::None);
    let cache = CacheLabel::ALL.get(cache).copied().unwrap_or(CacheLabel::None);
    (route.as_str(), cache.as_str())
}
