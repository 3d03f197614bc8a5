//! State of the gateway now: what an operator checks first, and what the headline is made of.

use std::borrow::Cow;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::state::Admin;
use crate::cluster::ClusterState;
use crate::error_chain::chain;
use crate::telemetry::GaugeValues;
use crate::upstream::{BreakerState, BudgetLimit, KeyStatus, LimitSource};

/// State of the gateway at one moment. Times are Unix seconds.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Health {
    pub upstream: UpstreamView,
    /// `none`, `connected` or `cut_off`.
    pub fleet: Cow<'static, str>,
    /// Cause of the last failure of the link to the fleet's Redis, until the stream is read again.
    /// `None`: there is none, or no fleet.
    #[serde(default)]
    pub fleet_error: Option<String>,
    pub pending_purges: usize,
    /// Whether the gateway shuts down.
    pub draining: bool,
    /// Number of open connections of the public listener.
    pub connections: usize,
    /// Time at which the TLS certificate expires. `None`: there is no TLS.
    pub certificate_expires: Option<i64>,
    /// Reason why the files of `[server.tls]` could not be used when they were last read. `None`:
    /// they were used, or there is no TLS.
    #[serde(default)]
    pub certificate_files: Option<String>,
    /// Reason why the last reload was refused. `None`: it was applied, or there was none.
    #[serde(default)]
    pub reload_refused: Option<String>,
}

/// State of the way to ImageKit.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct UpstreamView {
    pub breaker: BreakerState,
    /// Last verdict of ImageKit on the current key.
    pub private_key: KeyStatus,
    /// Number of refusals of the current key since ImageKit last accepted it.
    pub key_refusals: u64,
    /// Time of the first of them.
    pub key_refused_since: Option<u64>,
    /// Reason why the key file could not be used when it was last read. `None`: it was used.
    pub private_key_file: Option<String>,
    pub budget_available: u32,
    /// Seconds for which ImageKit has asked the gateway to send no call. 0: it has not.
    #[serde(default)]
    pub paused_seconds: u64,
    /// Limit in force. `None`: a gateway of an older version answers.
    #[serde(default)]
    pub budget_limit: Option<BudgetLimitView>,
    /// Time of the first of the calls that failed in a row. `None`: the last call had a usable
    /// answer or a 429, or there was none.
    pub failing_since: Option<u64>,
    /// Number of calls that failed in a row.
    pub failed_calls: u64,
    pub last_error: Option<LastErrorView>,
}

/// Limit of calls to ImageKit that is in force, for all gateways of a fleet together.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct BudgetLimitView {
    pub set_by: LimitSource,
    pub per_second: f64,
    /// Most calls that may leave at once.
    pub burst: u32,
}

impl From<BudgetLimit> for BudgetLimitView {
    fn from(limit: BudgetLimit) -> Self {
        Self { set_by: limit.set_by, per_second: limit.per_second(), burst: limit.burst }
    }
}

/// Last call to ImageKit that failed.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct LastErrorView {
    pub at: u64,
    /// Outcome, as the metrics name it.
    pub outcome: Cow<'static, str>,
    pub cause: String,
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
                breaker: upstream.breaker_state(monotonic),
                private_key: upstream.key_status(),
                key_refusals: upstream.key_refusals().map_or(0, |refusals| refusals.count),
                key_refused_since: upstream.key_refusals().map(|refusals| unix(refusals.since)),
                private_key_file: self.key.problem().map(|error| chain(&*error)),
                budget_available: gauges.budget_available,
                paused_seconds: whole_seconds(upstream.paused()),
                budget_limit: Some(upstream.budget_limit().into()),
                failing_since: calls.failing.map(|failing| unix(failing.since)),
                failed_calls: calls.failing.map_or(0, |failing| failing.count),
                last_error: calls.last_error.map(|error| LastErrorView {
                    at: unix(error.at),
                    outcome: error.outcome.as_str().into(),
                    cause: error.cause,
                }),
            },
            fleet: match self.gateway.cluster.as_ref().map(|cluster| cluster.state()) {
                None => "none".into(),
                Some(ClusterState::Connected) => "connected".into(),
                Some(ClusterState::CutOff) => "cut_off".into(),
            },
            fleet_error: self.gateway.cluster.as_ref().and_then(|cluster| cluster.error()),
            pending_purges: gauges.cluster.pending_purges,
            draining: self.drain.is_announced(),
            connections: gauges.connections,
            certificate_expires: gauges.tls_expires_in.map(|left| now.saturating_add(left)),
            certificate_files: {
                let problem = self.tls.load().as_ref().and_then(|tls| tls.problem());
                problem.map(|error| chain(&*error))
            },
            reload_refused: self.reload_refused.load().as_deref().cloned(),
        }
    }
}

/// Returns whole seconds, rounded up.
fn whole_seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}
