//! Metrics that events change, registered once.
//!
//! Labels come from closed sets or configured names, never from a caller's request.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Metric, Registry};

use super::declared;
use super::metric::MetricSpec;

/// Buckets of durations, in seconds: from a hit on a fast machine to the longest wait that makes
/// sense.
const DURATION_BUCKETS: [f64; 17] = [
    0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1,
    0.25, 0.5, 1.0, 2.5, 10.0,
];

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub(super) struct RequestLabels {
    pub(super) route: &'static str,
    pub(super) caller: String,
    pub(super) status: u16,
    pub(super) cache: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub(super) struct DurationLabels {
    pub(super) route: &'static str,
    pub(super) cache: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub(super) struct ThrottledLabels {
    pub(super) caller: String,
    pub(super) limit: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub(super) struct InvalidationLabels {
    pub(super) source: &'static str,
    pub(super) kind: &'static str,
}

/// Counters that differ in one label, whose name is `label`.
#[derive(Clone, Debug)]
pub(super) struct Counters {
    label: &'static str,
    family: Family<[(&'static str, &'static str); 1], Counter>,
}

impl Counters {
    pub(super) fn registered(registry: &mut Registry, metric: &MetricSpec) -> Self {
        let label = metric.labels.first().map_or("", |label| label.name);
        Self { label, family: registered(registry, metric) }
    }

    pub(super) fn of(&self, value: &'static str) -> Counter {
        self.family.get_or_create(&[(self.label, value)]).clone()
    }
}

pub(super) struct Series {
    pub(super) requests: Family<RequestLabels, Counter>,
    pub(super) request_duration: Family<DurationLabels, Histogram>,
    pub(super) response_bytes: Counters,
    pub(super) throttled: Family<ThrottledLabels, Counter>,
    pub(super) upstream_requests: Counters,
    pub(super) upstream_duration: Histogram,
    pub(super) invalidations: Family<InvalidationLabels, Counter>,
    pub(super) webhooks: Counters,
    pub(super) webhook_last: Gauge,
}

impl Series {
    pub(super) fn registered(registry: &mut Registry) -> Self {
        let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register(declared::BUILD.name, declared::BUILD.help, version);
        let durations = Family::new_with_constructor(histogram as fn() -> Histogram);
        let mut counters = |metric| Counters::registered(registry, metric);
        Self {
            response_bytes: counters(&declared::RESPONSE_BYTES),
            upstream_requests: counters(&declared::UPSTREAM_REQUESTS),
            webhooks: counters(&declared::WEBHOOKS),
            requests: registered(registry, &declared::REQUESTS),
            request_duration: register(registry, &declared::REQUEST_DURATION, durations),
            throttled: registered(registry, &declared::THROTTLED),
            upstream_duration: register(registry, &declared::UPSTREAM_DURATION, histogram()),
            invalidations: registered(registry, &declared::INVALIDATIONS),
            webhook_last: registered(registry, &declared::WEBHOOK_LAST),
        }
    }
}

/// Registers a new metric under its declared name, and returns it.
pub(super) fn registered<M: Metric + Clone + Default>(
    registry: &mut Registry,
    spec: &MetricSpec,
) -> M {
    register(registry, spec, M::default())
}

/// Registers a metric under its declared name, and returns it.
fn register<M: Metric + Clone>(registry: &mut Registry, spec: &MetricSpec, metric: M) -> M {
    match spec.unit() {
        Some(unit) => registry.register_with_unit(spec.name, spec.help, unit, metric.clone()),
        None => registry.register(spec.name, spec.help, metric.clone()),
    }
    metric
}

fn histogram() -> Histogram {
    Histogram::new(DURATION_BUCKETS)
}
