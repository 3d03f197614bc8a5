//! Values of the metrics that are read at a scrape, from the parts of the gateway.

use std::time::Duration;

use super::state::Admin;
use crate::cluster::{Cluster, ClusterState};
use crate::telemetry::{ClusterGauges, Exposition, GaugeValues};
use crate::upstream::BreakerState;

/// Pause before the metrics are read. An exchange is counted after its connection has written the
/// response. Without the pause, a caller that scrapes right after its response misses that
/// exchange.
const SETTLE_TIME: Duration = Duration::from_millis(2);

impl Admin {
    /// Returns all metrics as text in the format that the scraper accepts.
    pub(super) async fn expose(&self, exposition: Exposition) -> String {
        tokio::time::sleep(SETTLE_TIME).await;
        self.metrics.expose(&self.gauge_values(), exposition)
    }

    /// Adds one sample of all metrics to the history of `/api/stats`.
    pub fn sample(&self) {
        let scraped = self.metrics.expose(&self.gauge_values(), Exposition::Prometheus);
        self.metrics.note(&scraped, self.clock().monotonic(), self.clock().unix_time());
    }

    pub(super) fn gauge_values(&self) -> GaugeValues {
        let (cache_entries, cache_bytes) = self.cache().usage();
        GaugeValues {
            cache_entries,
            cache_bytes,
            cache_evictions: self.cache().evictions(),
            fills_in_progress: self.cache().fills_in_progress(),
            connections: self.drain.connections(),
            tracked_callers: self.gateway.rules.load().limits.tracked_callers(),
            limits: self.limits,
            budget_available: self.gateway.upstream.budget_available(),
            breaker_state: match self.gateway.upstream.breaker_state(self.clock().monotonic()) {
                BreakerState::Closed => 0,
                BreakerState::HalfOpen => 1,
                BreakerState::Open => 2,
            },
            private_key_age: match self.key.written() {
                Some(written) => self.clock().wall().duration_since(written).unwrap_or_default(),
                None => self.clock().uptime(),
            }
            .as_secs(),
            private_key_readable: self.key.problem().is_none(),
            tls_expires_in: self.tls.load().as_ref().map(|tls| {
                let seconds =
                    |since_1970: Duration| i64::try_from(since_1970.as_secs()).unwrap_or(i64::MAX);
                seconds(tls.expires()) - seconds(self.clock().unix_time())
            }),
            cluster: self
                .gateway
                .cluster
                .as_ref()
                .map(|cluster| cluster_gauges(cluster))
                .unwrap_or_default(),
            refused_pages: self.gateway.refused_origins.total(),
            dropped_log_lines: self.log.as_ref().map_or(0, |log| log.dropped_lines()),
        }
    }
}

fn cluster_gauges(cluster: &Cluster) -> ClusterGauges {
    let status = cluster.status();
    ClusterGauges {
        state: match status.state {
            ClusterState::Connected => 1,
            ClusterState::CutOff => 2,
        },
        nodes: status.nodes,
        lag: status.lag.as_secs_f64(),
        clock_skew: status.clock_skew,
        pending_purges: status.pending_purges,
        resets: status.resets,
    }
}
