//! Metrics that are read at a scrape: gauges, and counters of other modules.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::registry::Registry;
use serde::{Deserialize, Serialize};

use super::declared;
use super::series::registered;

/// Limits that gauges are compared with.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub struct GaugeLimits {
    /// Memory that stored responses may take, in bytes.
    pub cache_bytes: u64,
    /// Number of connections that may be open.
    pub connections: usize,
    /// Number of anonymous callers that can be told apart.
    pub tracked_callers: usize,
}

/// Values of all metrics that are read at a scrape, at one moment.
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
    /// Limits of the gauges above.
    pub limits: GaugeLimits,
    /// Number of log lines that could not be written.
    pub dropped_log_lines: u64,
    /// Number of requests of pages whose origin is not allowed, since the start.
    pub refused_pages: u64,
    /// Number of upstream calls that the budget allows now.
    pub budget_available: u32,
    /// State of the circuit breaker: 0 closed, 1 half open, 2 open.
    pub breaker_state: u8,
    /// Seconds since the key's file was written, or since the process began if there is no file.
    pub private_key_age: u64,
    /// Whether the last read of the key's file found a usable key.
    pub private_key_readable: bool,
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
    refused_pages: Counter,
    budget_available: Gauge,
    breaker_state: Gauge,
    private_key_age: Gauge,
    private_key_readable: Gauge,
    tls_expires_in: TlsExpiry,
}

impl Gauges {
    pub(super) fn registered(registry: &mut Registry) -> Self {
        let tls_expires_in = TlsExpiry::default();
        registry.register_collector(Box::new(tls_expires_in.clone()));
        Self {
            cluster_state: registered(registry, &declared::CLUSTER_STATE),
            cluster_nodes: registered(registry, &declared::CLUSTER_NODES),
            cluster_lag: registered(registry, &declared::CLUSTER_LAG),
            cluster_clock_skew: registered(registry, &declared::CLUSTER_CLOCK_SKEW),
            cluster_pending_purges: registered(registry, &declared::CLUSTER_PENDING_PURGES),
            cluster_resets: registered(registry, &declared::CLUSTER_RESETS),
            cache_entries: registered(registry, &declared::CACHE_ENTRIES),
            cache_bytes: registered(registry, &declared::CACHE_BYTES),
            cache_evictions: registered(registry, &declared::CACHE_EVICTIONS),
            fills_in_progress: registered(registry, &declared::FILLS_IN_PROGRESS),
            connections: registered(registry, &declared::CONNECTIONS),
            tracked_callers: registered(registry, &declared::TRACKED_CALLERS),
            cache_bytes_max: registered(registry, &declared::CACHE_BYTES_MAX),
            connections_max: registered(registry, &declared::CONNECTIONS_MAX),
            tracked_callers_max: registered(registry, &declared::TRACKED_CALLERS_MAX),
            dropped_log_lines: registered(registry, &declared::LOG_LINES_DROPPED),
            refused_pages: registered(registry, &declared::CORS_REFUSED),
            budget_available: registered(registry, &declared::UPSTREAM_BUDGET_AVAILABLE),
            breaker_state: registered(registry, &declared::UPSTREAM_BREAKER_STATE),
            private_key_age: registered(registry, &declared::PRIVATE_KEY_AGE),
            private_key_readable: registered(registry, &declared::PRIVATE_KEY_READABLE),
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
        let most = &values.limits;
        self.cache_bytes_max.set(i64::try_from(most.cache_bytes).unwrap_or(i64::MAX));
        self.connections_max.set(number(most.connections));
        self.tracked_callers_max.set(number(most.tracked_callers));
        self.budget_available.set(i64::from(values.budget_available));
        self.breaker_state.set(i64::from(values.breaker_state));
        self.private_key_age.set(i64::try_from(values.private_key_age).unwrap_or(i64::MAX));
        self.private_key_readable.set(i64::from(values.private_key_readable));
        let cluster = &values.cluster;
        self.cluster_state.set(i64::from(cluster.state));
        self.cluster_nodes.set(number(cluster.nodes));
        self.cluster_lag.set(cluster.lag);
        self.cluster_clock_skew.set(cluster.clock_skew);
        self.cluster_pending_purges.set(number(cluster.pending_purges));
        self.cluster_resets.inner().store(cluster.resets, Ordering::Relaxed);
        *self.tls_expires_in.0.lock() = values.tls_expires_in;
        self.dropped_log_lines.inner().store(values.dropped_log_lines, Ordering::Relaxed);
        self.refused_pages.inner().store(values.refused_pages, Ordering::Relaxed);
    }
}

/// Gauge of the certificate's expiry. The series exists only while there is TLS: zero seconds would
/// raise an alert.
#[derive(Clone, Debug, Default)]
struct TlsExpiry(Arc<Mutex<Option<i64>>>);

impl Collector for TlsExpiry {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let Some(seconds) = *self.0.lock() else { return Ok(()) };
        let (spec, gauge) = (&declared::TLS_EXPIRY, ConstGauge::new(seconds));
        let (unit, kind) = (spec.unit(), gauge.metric_type());
        gauge.encode(encoder.encode_descriptor(spec.name, spec.help, unit.as_ref(), kind)?)
    }
}
