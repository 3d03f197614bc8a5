//! Client for the upstream over HTTP, as the rest of the gateway uses it.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout_at;

use super::budget_limit::BudgetLimit;
use super::dispatch::Dispatch;
use super::error::UpstreamError;
use super::health::{FailingCalls, UpstreamHealth};
use super::http_transport::HttpTransport;
use super::key_circuit::KeyStatus;
use super::pool::UpstreamStartError;
use super::response::UpstreamResponse;
use super::settings::UpstreamSettings;
use super::transport::FetchRequest;
use crate::breaker::BreakerState;
use crate::clock::Clock;
use crate::limit::LeaseQueue;
use crate::secret::PrivateKey;

/// Client for the upstream. Each method is safe to call from many tasks.
pub struct Upstream(Dispatch<HttpTransport>);

impl Upstream {
    pub fn new(
        settings: &UpstreamSettings,
        key: Arc<PrivateKey>,
        lease_queue: Option<Arc<LeaseQueue>>,
        clock: Clock,
    ) -> Result<Self, UpstreamStartError> {
        let transport = HttpTransport::new(settings, clock.clone())?;
        Ok(Self(Dispatch::new(transport, settings, key, lease_queue, clock)))
    }

    /// Fetches a version list. Retries while that is worthwhile, within the time of a fill.
    pub async fn versions(
        &self,
        request: &FetchRequest,
    ) -> Result<UpstreamResponse, UpstreamError> {
        let after = self.0.request_timeout;
        // Each step has its own deadline. This one bounds work that has none, such as a slow disk.
        let bound = request.began + after + Duration::from_millis(100);
        let response = timeout_at(bound, self.0.versions(request)).await;
        response.unwrap_or(Err(UpstreamError::Timeout { after }))
    }

    /// Returns whether a background refresh could leave now.
    pub fn can_refresh_now(&self) -> bool {
        self.0.can_refresh_now()
    }

    /// Returns the number of calls that the budget allows now.
    pub fn budget_available(&self) -> u32 {
        self.0.queue.available()
    }

    /// Returns the rest of the wait that the upstream requested; zero if it has not.
    pub fn paused(&self) -> Duration {
        self.0.queue.paused()
    }

    /// Returns the limit of calls that is in force, and its source.
    pub fn budget_limit(&self) -> BudgetLimit {
        self.0.queue.limit()
    }

    /// Returns the breaker's state as a call would find it at `now`, in monotonic time.
    pub fn breaker_state(&self, now: Duration) -> BreakerState {
        self.0.breaker.lock().state(now)
    }

    /// Returns the last error, and since when calls fail.
    pub fn health(&self) -> UpstreamHealth {
        self.0.health.lock().clone()
    }

    /// Returns what the upstream last said about the current private key.
    pub fn key_status(&self) -> KeyStatus {
        self.0.key_circuit.status()
    }

    /// Returns the refusals of the current private key since the upstream last accepted it.
    pub fn key_refusals(&self) -> Option<FailingCalls> {
        self.0.key_circuit.refusals()
    }
}
