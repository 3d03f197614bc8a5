//! Gauges, which are read at a scrape rather than counted at an event.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::registry::{Registry, Unit};
use serde::Serialize;

use super::series::{in_seconds, registered};

/// Capacities that the gauges are compared with.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Capacity {
    /// Memory that stored responses may take, in bytes.
    pub cache_bytes: u64,
    /// Number of connections that may be open.
    pub connections: usize,
    /// Number of anonymous callers that can be told apart.
    pub tracked_callers: usize,
}

/// Values of all gauges at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct GaugeValues {
    /// Number of stored responses.
    pub cache_entries: u64,
    /// Memory of the stored responses, in bytes.
    pub cache_bytes: u64,
    /// Number of evictions since the start.
    pub cache_evictions: u64,
    /// Number of files that are being fetched.
    pub fills_in_progress: usize,
    /// Number of open connections.
    pub connections: usize,
    /// Number of anonymous callers that are told apart.
    pub tracked_callers: usize,
    /// Capacities of the gauges above.
    pub capacity: Capacity,
    /// Number of log lines that could not be written.
    pub dropped_log_lines: u64,
    /// Number of upstream calls that the budget allows now.
    pub budget_available: u32,
    /// State of the circuit breaker: 0 closed, 1 half open, 2 open.
    pub breaker_state: u8,
    /// Seconds since the key's file was written, or since the process began if there is no file.
    pub private_key_age: u64,
    /// Seconds until the certificate expires; negative once it has expired. `None`: there is no
    /// TLS.
    pub tls_expires_in: Option<i64>,
    /// Gauges of the fleet connection.
    pub cluster: ClusterGauges,
}

/// Gauges of this gateway's connection to its fleet.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClusterGauges {
    /// State of the connection: 0 no fleet, 1 connected, 2 cut off.
    pub state: u8,
    /// Number of gateways in the fleet, this one included.
    pub nodes: usize,
    /// Seconds from sending a heartbeat to reading it back.
    pub lag: f64,
    /// Clock of the fleet's Redis minus the gateway's clock, in seconds.
    pub clock_skew: f64,
    /// Number of purges that wait to be published.
    pub pending_purges: usize,
    /// Number of resets since the start.
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
        let help = "Time since the private key's file was written, or since the start, in seconds";
        let private_key_age = in_seconds(registry, "private_key_age", help, Gauge::default());
        let help = "Time from sending a heartbeat to the fleet to reading it back, in seconds";
        let cluster_lag = in_seconds(registry, "cluster_lag", help, FloatGauge::default());
        let help = "Clock of the fleet's Redis minus the clock of this gateway, in seconds";
        let cluster_clock_skew =
            in_seconds(registry, "cluster_clock_skew", help, FloatGauge::default());
        let mut gauge = |name, help| registered::<Gauge>(registry, name, help);
        Self {
            cluster_state: gauge(
                "cluster_state",
                "State of the connection to the fleet: 0 no fleet, 1 connected, 2 cut off",
            ),
            cluster_nodes: gauge(
                "cluster_nodes",
                "Number of gateways in the fleet when its stream was last read",
            ),
            cluster_pending_purges: gauge(
                "cluster_pending_purges",
                "Number of purges that wait to be published to the fleet",
            ),
            cluster_lag,
            cluster_clock_skew,
            cache_entries: gauge("cache_entries", "Number of stored responses"),
            cache_bytes: gauge("cache_bytes", "Memory that the stored responses take, in bytes"),
            fills_in_progress: gauge("fills_in_progress", "Number of files being fetched now"),
            connections: gauge("connections", "Number of open connections"),
            tracked_callers: gauge(
                "limiter_tracked_callers",
                "Number of anonymous callers that are told apart",
            ),
            cache_bytes_max: gauge(
                "cache_bytes_max",
                "Memory that the stored responses may take, in bytes",
            ),
            connections_max: gauge("connections_max", "Number of connections that may be open"),
            tracked_callers_max: gauge(
                "limiter_tracked_callers_max",
                "Number of anonymous callers that can be told apart",
            ),
            budget_available: gauge(
                "upstream_budget_available",
                "Number of calls to ImageKit that the budget allows now",
            ),
            breaker_state: gauge(
                "upstream_breaker_state",
                "State of the circuit breaker for ImageKit: 0 closed, 1 half open, 2 open",
            ),
            cache_evictions: registered(
                registry,
                "cache_evictions",
                "Number of stored responses evicted to make room, and of new ones not admitted",
            ),
            cluster_resets: registered(
                registry,
                "cluster_resets",
                "Number of times that everything was purged after a possibly missed purge",
            ),
            dropped_log_lines: registered(
                registry,
                "log_lines_dropped",
                "Number of log lines that could not be written",
            ),
            private_key_age,
            tls_expires_in,
        }
    }

    pub(super) fn set(&self, values: &GaugeValues) {
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.cache_entries.set(i64::try_from(values.cache_entries).unwrap_or(i64::MAX));
        self.cache_bytes.set(i64::try_from(values.cache_bytes).unwrap_or(i64::MAX));
        self.cache_evictions.inner().store(values.cache_evictions, Ordering::Relaxed);
        self.fills_in_progress.set(number(values.fills_in_progress));
        self.connections.set(number(values.connections));
        self.tracked_callers.set(number(values.tracked_callers));
        let most = &values.capacity;
        self.cache_bytes_max.set(i64::try_from(most.cache_bytes).unwrap_or(i64::MAX));
        self.connections_max.set(number(most.connections));
        self.tracked_callers_max.set(number(most.tracked_callers));
        self.budget_available.set(i64::from(values.budget_available));
        self.breaker_state.set(i64::from(values.breaker_state));
        self.private_key_age.set(i64::try_from(values.private_key_age).unwrap_or(i64::MAX));
        let cluster = &values.cluster;
        self.cluster_state.set(i64::from(cluster.state));
        self.cluster_nodes.set(number(cluster.nodes));
        self.cluster_lag.set(cluster.lag);
        self.cluster_clock_skew.set(cluster.clock_skew);
        self.cluster_pending_purges.set(number(cluster.pending_purges));
        self.cluster_resets.inner().store(cluster.resets, Ordering::Relaxed);
        *self.tls_expires_in.0.lock() = values.tls_expires_in;
        self.dropped_log_lines.inner().store(values.dropped_log_lines, Ordering::Relaxed);
    }
}

/// Gauge of the certificate's expiry. The series exists only while there is TLS: zero seconds would
/// raise an alert.
#[derive(Clone, Debug, Default)]
struct TlsExpiry(Arc<Mutex<Option<i64>>>);

impl Collector for TlsExpiry {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let Some(seconds) = *self.0.lock() else { return Ok(()) };
        let (name, help) = (
            "tls_expiry",
            "Time until the TLS certificate expires, in seconds; negative once it has expired",
        );
        let gauge = ConstGauge::new(seconds);
        let encoder =
            encoder.encode_descriptor(name, help, Some(&Unit::Seconds), gauge.metric_type())?;
        gauge.encode(encoder)
    }
}
