//! State of the gateway now: what an operator checks first, and what the headline is made of.

use serde::{Serialize, Serializer};

use super::state::Admin;
use crate::cluster::ClusterState;
use crate::error::chain;
use crate::telemetry::GaugeValues;
use crate::upstream::{BreakerState, KeyStatus, UpstreamOutcome};

/// State of the gateway at one moment. Times are Unix seconds.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Health {
    pub(super) upstream: UpstreamView,
    /// `none`, `connected` or `cut_off`.
    pub(super) fleet: &'static str,
    pub(super) pending_purges: usize,
    /// Whether the gateway shuts down.
    pub(super) draining: bool,
    /// Number of open connections of the public listener.
    pub(super) connections: usize,
    /// Time at which the TLS certificate expires. `None`: there is no TLS.
    pub(super) certificate_expires: Option<i64>,
}

/// State of the way to ImageKit.
#[derive(Clone, Debug, Serialize)]
pub(super) struct UpstreamView {
    /// `closed`, `half_open` or `open`.
    pub(super) breaker: &'static str,
    /// Result of the last call with the current key.
    #[serde(serialize_with = "key_status")]
    pub(super) private_key: KeyStatus,
    /// Reason why the key file could not be used when it was last read. `None`: it was used.
    pub(super) private_key_file: Option<String>,
    pub(super) budget_available: u32,
    /// Time of the first of the calls that failed in a row. `None`: the last call worked.
    pub(super) failing_since: Option<u64>,
    /// Number of calls that failed in a row.
    pub(super) failed_calls: u64,
    pub(super) last_error: Option<LastErrorView>,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct LastErrorView {
    pub(super) at: u64,
    pub(super) outcome: &'static str,
    pub(super) cause: String,
    #[serde(skip)]
    pub(super) kind: UpstreamOutcome,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes the field by reference")]
fn key_status<S: Serializer>(status: &KeyStatus, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(status.as_str())
}

impl Admin {
    pub(super) fn health(&self, gauges: &GaugeValues) -> Health {
        let (monotonic, unix_time) = (self.clock().monotonic(), self.clock().unix_time());
        let unix = |at| unix_time.saturating_sub(monotonic.saturating_sub(at)).as_secs();
        let upstream = &self.gateway.upstream;
        let calls = upstream.health();
        let now = i64::try_from(unix_time.as_secs()).unwrap_or(i64::MAX);
        Health {
            upstream: UpstreamView {
                breaker: match upstream.breaker_state(monotonic) {
                    BreakerState::Closed => "closed",
                    BreakerState::HalfOpen => "half_open",
                    BreakerState::Open => "open",
                },
                private_key: upstream.key_status(),
                private_key_file: self.key.problem().map(|error| chain(&*error)),
                budget_available: gauges.budget_available,
                failing_since: calls.failing.map(|failing| unix(failing.since)),
                failed_calls: calls.failing.map_or(0, |failing| failing.count),
                last_error: calls.last_error.map(|error| LastErrorView {
                    at: unix(error.at),
                    outcome: error.outcome.as_str(),
                    cause: error.cause,
                    kind: error.outcome,
                }),
            },
            fleet: match self.gateway.cluster.as_ref().map(|cluster| cluster.state()) {
                None => "none",
                Some(ClusterState::Connected) => "connected",
                Some(ClusterState::CutOff) => "cut_off",
            },
            pending_purges: gauges.cluster.pending_purges,
            draining: self.drain.is_announced(),
            connections: gauges.connections,
            certificate_expires: gauges.tls_expires_in.map(|left| now.saturating_add(left)),
        }
    }
}
