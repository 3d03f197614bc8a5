//! What is read when somebody asks, rather than counted as it happens.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::registry::{Registry, Unit};
use serde::Serialize;

use super::series::registered;

/// As many as there may be.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Most {
    pub cache_bytes: u64,
    pub connections: usize,
    pub tracked_callers: usize,
}

/// The readings of one moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Readings {
    pub cache_entries: u64,
    pub cache_bytes: u64,
    pub cache_evictions: u64,
    pub fills_in_progress: usize,
    pub connections: usize,
    pub tracked_callers: usize,
    pub most: Most,
    pub dropped_log_lines: u64,
    pub budget_available: u32,
    /// 0 closed, 1 half open, 2 open.
    pub breaker_state: u8,
    /// Seconds since its file was written, or since the process began where there is no file.
    pub private_key_age: u64,
    /// Seconds; less than none once it has. `None`: there is no TLS.
    pub tls_expires_in: Option<i64>,
    pub cluster: ClusterReadings,
}

/// How this gateway stands with its fleet.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClusterReadings {
    /// 0 there is none, 1 connected, 2 cut off.
    pub state: u8,
    pub nodes: usize,
    /// Seconds.
    pub lag: f64,
    /// Seconds.
    pub clock_skew: f64,
    pub pending_purges: usize,
    pub resets: u64,
}

type FloatGauge = Gauge<f64, AtomicU64>;

pub(super) struct Gauges {
    cluster_state: Gauge,
    cluster_nodes: Gauge,
    cluster_lag: FloatGauge,
    cluster_clock_skew: FloatGauge,
    cluster_pending_purges: Gauge,
    cluster_resets: Counter,
    cache_entries: Gauge,
    cache_bytes: Gauge,
    cache_evictions: Counter,
    fills_in_progress: Gauge,
    connections: Gauge,
    tracked_callers: Gauge,
    cache_bytes_max: Gauge,
    connections_max: Gauge,
    tracked_callers_max: Gauge,
    dropped_log_lines: Counter,
    budget_available: Gauge,
    breaker_state: Gauge,
    private_key_age: Gauge,
    tls_expires_in: TlsExpiry,
}

impl Gauges {
    pub(super) fn registered(registry: &mut Registry) -> Self {
        let tls_expires_in = TlsExpiry::default();
        registry.register_collector(Box::new(tls_expires_in.clone()));
        let private_key_age = Gauge::default();
        registry.register_with_unit(
            "private_key_age",
            "Since the private key was written, or given where it has no file",
            Unit::Seconds,
            private_key_age.clone(),
        );
        let (cluster_lag, cluster_clock_skew) = (FloatGauge::default(), FloatGauge::default());
        let told_and_heard = "From telling the fleet something to hearing it";
        registry.register_with_unit(
            "cluster_lag",
            told_and_heard,
            Unit::Seconds,
            cluster_lag.clone(),
        );
        let skew = "The clock of the fleet's Redis less our own";
        registry.register_with_unit(
            "cluster_clock_skew",
            skew,
            Unit::Seconds,
            cluster_clock_skew.clone(),
        );
        let mut gauge = |name, help| registered::<Gauge>(registry, name, help);
        Self {
            cluster_state: gauge("cluster_state", "0: no fleet, 1: connected, 2: cut off"),
            cluster_nodes: gauge("cluster_nodes", "Gateways of the fleet, as last heard"),
            cluster_pending_purges: gauge(
                "cluster_pending_purges",
                "Purges that the fleet has not heard of yet",
            ),
            cluster_lag,
            cluster_clock_skew,
            cache_entries: gauge("cache_entries", "Stored responses"),
            cache_bytes: gauge("cache_bytes", "What they count"),
            fills_in_progress: gauge("fills_in_progress", "Files being fetched now"),
            connections: gauge("connections", "Open connections"),
            tracked_callers: gauge("limiter_tracked_callers", "Anonymous callers told apart"),
            cache_bytes_max: gauge("cache_bytes_max", "What they may count"),
            connections_max: gauge("connections_max", "Connections that may be open"),
            tracked_callers_max: gauge(
                "limiter_tracked_callers_max",
                "Anonymous callers that can be told apart",
            ),
            budget_available: gauge("upstream_budget_available", "Calls that could be spent now"),
            breaker_state: gauge(
                "upstream_breaker_state",
                "0: calls leave, 1: one to see, 2: none",
            ),
            cache_evictions: registered(
                registry,
                "cache_evictions",
                "Stored responses dropped to make room",
            ),
            cluster_resets: registered(
                registry,
                "cluster_resets",
                "Times that everything was purged, since something may have been missed",
            ),
            dropped_log_lines: registered(
                registry,
                "log_lines_dropped",
                "Log lines that could not be written",
            ),
            private_key_age,
            tls_expires_in,
        }
    }

    pub(super) fn set(&self, readings: &Readings) {
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.cache_entries.set(i64::try_from(readings.cache_entries).unwrap_or(i64::MAX));
        self.cache_bytes.set(i64::try_from(readings.cache_bytes).unwrap_or(i64::MAX));
        self.cache_evictions.inner().store(readings.cache_evictions, Ordering::Relaxed);
        self.fills_in_progress.set(number(readings.fills_in_progress));
        self.connections.set(number(readings.connections));
        self.tracked_callers.set(number(readings.tracked_callers));
        let most = &readings.most;
        self.cache_bytes_max.set(i64::try_from(most.cache_bytes).unwrap_or(i64::MAX));
        self.connections_max.set(number(most.connections));
        self.tracked_callers_max.set(number(most.tracked_callers));
        self.budget_available.set(i64::from(readings.budget_available));
        self.breaker_state.set(i64::from(readings.breaker_state));
        self.private_key_age.set(i64::try_from(readings.private_key_age).unwrap_or(i64::MAX));
        let cluster = &readings.cluster;
        self.cluster_state.set(i64::from(cluster.state));
        self.cluster_nodes.set(number(cluster.nodes));
        self.cluster_lag.set(cluster.lag);
        self.cluster_clock_skew.set(cluster.clock_skew);
        self.cluster_pending_purges.set(number(cluster.pending_purges));
        self.cluster_resets.inner().store(cluster.resets, Ordering::Relaxed);
        *self.tls_expires_in.0.lock() = readings.tls_expires_in;
        self.dropped_log_lines.inner().store(readings.dropped_log_lines, Ordering::Relaxed);
    }
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
