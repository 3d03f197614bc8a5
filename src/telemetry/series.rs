//! Counters and histograms, registered once.
//!
//! Labels come from closed sets or configured names, never from a caller's request.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Metric, Registry, Unit};

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
    fn registered(registry: &mut Registry, name: &str, help: &str, label: &'static str) -> Self {
        let family = registered(registry, name, help);
        Self { label, family }
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
    pub(super) auth_failures: Counters,
    pub(super) upstream_requests: Counters,
    pub(super) upstream_duration: Histogram,
    pub(super) invalidations: Family<InvalidationLabels, Counter>,
    pub(super) webhooks: Counters,
    pub(super) webhook_last: Gauge,
    pub(super) config_reloads: Counters,
    pub(super) connections_refused: Counters,
    pub(super) connection_deadlines: Counters,
    pub(super) second_level: Counters,
}

impl Series {
    pub(super) fn registered(registry: &mut Registry) -> Self {
        let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "Version of ikgate; the value is always 1", version);
        let durations = Family::new_with_constructor(histogram as fn() -> Histogram);
        let help = "Time from a request's head to its response's head being ready, in seconds";
        let request_duration = in_seconds(registry, "request_duration", help, durations);
        let help = "Duration of a call to ImageKit from when it may leave, in seconds";
        let upstream_duration = in_seconds(registry, "upstream_duration", help, histogram());
        let help =
            "Time of the last genuine webhook delivery, in Unix seconds; 0 if there was none";
        let webhook_last = in_seconds(registry, "webhook_last", help, Gauge::default());
        let requests = registered(registry, "requests", "Number of requests that were answered");
        let throttled = registered(registry, "throttled", "Number of requests over a quota");
        let invalidations =
            registered(registry, "invalidations", "Number of purges of a file or of everything");
        let mut counters = |name, help, label| Counters::registered(registry, name, help, label);
        Self {
            requests,
            request_duration,
            response_bytes: counters(
                "response_bytes",
                "Bytes of response bodies that were sent",
                "coding",
            ),
            throttled,
            auth_failures: counters(
                "auth_failures",
                "Number of requests without an accepted credential",
                "reason",
            ),
            upstream_requests: counters(
                "upstream_requests",
                "Number of calls to ImageKit, and of calls that were not made",
                "outcome",
            ),
            upstream_duration,
            invalidations,
            webhooks: counters("webhooks", "Number of webhook deliveries", "outcome"),
            webhook_last,
            config_reloads: counters(
                "config_reloads",
                "Number of configuration reloads, applied or refused",
                "outcome",
            ),
            connections_refused: counters(
                "connections_refused",
                "Number of connections that were not accepted",
                "reason",
            ),
            connection_deadlines: counters(
                "connection_deadlines",
                "Number of connections that the gateway ended at a deadline",
                "deadline",
            ),
            second_level: counters(
                "second_level",
                "Number of lookups and stores in the fleet's Redis",
                "outcome",
            ),
        }
    }
}

pub(super) fn registered<M: Metric + Clone + Default>(
    registry: &mut Registry,
    name: &str,
    help: &str,
) -> M {
    let metric = M::default();
    registry.register(name, help, metric.clone());
    metric
}

/// Registers a metric whose unit is seconds, and returns it.
pub(super) fn in_seconds<M: Metric + Clone>(
    registry: &mut Registry,
    name: &str,
    help: &str,
    metric: M,
) -> M {
    registry.register_with_unit(name, help, Unit::Seconds, metric.clone());
    metric
}

fn histogram() -> Histogram {
    Histogram::new(DURATION_BUCKETS)
}
