//! Dispatch of upstream calls: admission, the exchange, and retries.
//!
//! ```text
//! breaker, key circuit  ->  a permit, a cell of the budget  ->  both again  ->  the exchange
//!        result: budget, breaker and key circuit are updated  ->  a retry, or the end
//! ```

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::{Instant, timeout_at};

use super::call_queue::{CallPermit, CallQueue, NotAdmitted};
use super::error::{Refusal, UpstreamError, UpstreamOutcome};
use super::health::UpstreamHealth;
use super::key_circuit::KeyCircuit;
use super::latency::Latency;
use super::priority::Priority;
use super::response::UpstreamResponse;
use super::retry::{self, RetryBudget};
use super::settings::{STATE_CHANGE, UpstreamSettings};
use super::transport::{CallResult, FetchRequest, Transport};
use crate::breaker::{Breaker, Transition};
use crate::clock::Clock;
use crate::file_id::FileId;
use crate::limit::{LeaseQueue, whole_millis};
use crate::secret::{PrivateKey, Secret};

/// Wait that is reported to callers when too many calls wait already.
const QUEUE_WAIT: Duration = Duration::from_secs(1);

/// Admission, retries and exchange, over any transport.
pub(super) struct Dispatch<T> {
    pub(super) transport: T,
    pub(super) queue: CallQueue,
    pub(super) breaker: Mutex<Breaker>,
    retries: Mutex<RetryBudget>,
    pub(super) key_circuit: KeyCircuit,
    latency: Mutex<Latency>,
    pub(super) health: Mutex<UpstreamHealth>,
    pub(super) request_timeout: Duration,
    clock: Clock,
}

impl<T: Transport> Dispatch<T> {
    pub(super) fn new(
        transport: T,
        settings: &UpstreamSettings,
        key: Arc<PrivateKey>,
        lease_queue: Option<Arc<LeaseQueue>>,
        clock: Clock,
    ) -> Self {
        Self {
            transport,
            queue: CallQueue::new(settings.budget, lease_queue, settings.max_concurrency, &clock),
            breaker: Mutex::new(Breaker::new(settings.breaker)),
            retries: Mutex::new(RetryBudget::new(settings.retries)),
            key_circuit: KeyCircuit::new(key),
            latency: Mutex::default(),
            health: Mutex::default(),
            request_timeout: settings.request_timeout,
            clock,
        }
    }

    pub(super) async fn versions(
        &self,
        request: &FetchRequest,
    ) -> Result<UpstreamResponse, UpstreamError> {
        let deadline = request.began + self.request_timeout;
        let mut last: Option<UpstreamError> = None;
        let (mut retried, mut key) = (0, self.key_circuit.current());
        let (mut reconnected, mut key_tried_again) = (false, false);
        loop {
            let error = match self.call(request, &mut key, deadline).await {
                Ok(response) => return Ok(response),
                // If a retry may not leave, the error of the last call says more.
                Err(error) if !error.has_left() => return Err(last.unwrap_or(error)),
                Err(error) => error,
            };
            let wait = match error {
                UpstreamError::Auth { .. } if !key_tried_again => {
                    // After a key rotation the file may hold the new key before the gateway has
                    // read it.
                    if !self.key_circuit.has_other_than(&key, self.latest_start(deadline)).await {
                        return Err(error);
                    }
                    key_tried_again = true;
                    Duration::ZERO
                }
                UpstreamError::Unreachable { reused: true, .. } if !reconnected => {
                    reconnected = true;
                    Duration::ZERO
                }
                _ => {
                    let wait = retry::backoff(retried, fastrand::u16(..)).max(self.queue.paused());
                    let in_time = Instant::now() + wait < self.latest_start(deadline);
                    let worthwhile = retry::is_worthwhile(&error) && in_time;
                    if !worthwhile || !self.retries.lock().take(retried) {
                        return Err(error);
                    }
                    retried += 1;
                    wait
                }
            };
            last = Some(error);
            tokio::time::sleep(wait).await;
        }
    }

    /// Returns the latest time at which a call may leave to return by `deadline`.
    fn latest_start(&self, deadline: Instant) -> Instant {
        deadline - self.latency.lock().needed(self.request_timeout)
    }

    /// Makes one call with the current key, if a call may leave.
    async fn call(
        &self,
        request: &FetchRequest,
        key: &mut Arc<Secret>,
        deadline: Instant,
    ) -> Result<UpstreamResponse, UpstreamError> {
        let permit = match self.acquire(key, request.priority, self.latest_start(deadline)).await {
            Ok(permit) => permit,
            Err(error) => {
                count(&request.file, error.outcome(), None);
                return Err(error);
            }
        };
        let exchange = self.transport.exchange(request, key, permit.at);
        let result = timeout_at(deadline, exchange).await.unwrap_or_else(|_elapsed| CallResult {
            response: Err(UpstreamError::Timeout { after: self.request_timeout }),
            window: None,
            pause: None,
        });
        self.record(request, &result, key, permit.at);
        result.response.map_err(|error| self.with_bucket(error))
    }

    /// Waits for every condition that a call needs to leave before `deadline`. Spends nothing on
    /// failure.
    async fn acquire(
        &self,
        key: &mut Arc<Secret>,
        priority: Priority,
        deadline: Instant,
    ) -> Result<CallPermit<'_>, UpstreamError> {
        // Checked before the wait, so that no call waits in vain, and after it, since the state may
        // have changed. Only a call that leaves takes a probe.
        *key = self.key_circuit.current();
        self.check_circuits(key)?;
        let permit = self.queue.take(priority, deadline).await.map_err(|reason| match reason {
            NotAdmitted::Budget(wait) => UpstreamError::Spent(self.refusal(wait)),
            NotAdmitted::QueueFull => UpstreamError::QueueFull(self.refusal(QUEUE_WAIT)),
        })?;
        *key = self.key_circuit.current();
        let admitted = self.check_circuits(key).and_then(|()| self.admit(key, permit.at));
        if admitted.is_err() {
            // This call will not leave. If it was the budget's probe, end the probe without a
            // result.
            self.queue.resume(permit.at);
        }
        admitted.map(|()| permit)
    }

    /// Returns an error if the breaker or the key circuit stops calls.
    fn check_circuits(&self, key: &Arc<Secret>) -> Result<(), UpstreamError> {
        let now = self.clock.monotonic();
        let stopped = |wait| UpstreamError::BreakerOpen(self.refusal(wait));
        self.breaker.lock().peek(now).map_err(stopped)?;
        if self.key_circuit.would_admit(key, now) {
            Ok(())
        } else {
            Err(UpstreamError::Auth { status: None })
        }
    }

    /// Admits the call at the breaker and at the key circuit. If only a probe may leave, only the
    /// first call is admitted.
    fn admit(&self, key: &Arc<Secret>, now: Duration) -> Result<(), UpstreamError> {
        let stopped = |wait| UpstreamError::BreakerOpen(self.refusal(wait));
        self.breaker.lock().admit(now).map_err(stopped)?;
        self.key_circuit.admit(key, now).map_err(|_| UpstreamError::Auth { status: None })
    }

    fn refusal(&self, wait: Duration) -> Refusal {
        let (burst, refill) = self.queue.bucket();
        Refusal { wait, burst, refill }
    }

    /// Fills in the budget's limit and interval if a 429 does not state its own.
    fn with_bucket(&self, error: UpstreamError) -> UpstreamError {
        let UpstreamError::Busy { wait, mut fields } = error else { return error };
        let (burst, refill) = self.queue.bucket();
        fields.limit = fields.limit.or(Some(u64::from(burst)));
        fields.interval_millis = fields.interval_millis.or(Some(whole_millis(refill)));
        UpstreamError::Busy { wait, fields }
    }

    /// Updates metrics, latency, retries, budget, breaker and key circuit with the result of an
    /// exchange.
    fn record(
        &self,
        request: &FetchRequest,
        result: &CallResult,
        key: &Arc<Secret>,
        sent: Duration,
    ) {
        let now = self.clock.monotonic();
        let error = result.response.as_ref().err();
        let outcome = match &result.response {
            Ok(response) => response.outcome(),
            Err(error) => error.outcome(),
        };
        count(&request.file, outcome, Some(now.saturating_sub(sent)));
        if result.response.is_ok() {
            self.latency.lock().took(now.saturating_sub(sent));
        }
        match error {
            Some(error) => self.health.lock().failed(error, now),
            None => self.health.lock().worked(),
        }
        self.retries.lock().called();
        if let Some(window) = result.window {
            self.queue.learn(window);
        }
        if let Some(wait) = result.pause {
            tracing::warn!(
                target: STATE_CHANGE,
                part = "budget",
                state = "paused",
                ?wait,
                "the upstream asks the gateway to wait: no call leaves for that time, at most 1 min"
            );
            self.queue.pause(wait);
        } else {
            self.queue.resume(sent);
        }
        if error.is_some_and(UpstreamError::is_outage) {
            if self.breaker.lock().failed(now) == Transition::Opened {
                tracing::error!(
                    target: STATE_CHANGE,
                    part = "breaker",
                    state = "open",
                    "circuit breaker open: the upstream failed several times in a row; calls stop, \
                     then one probe at a time tests it"
                );
            }
        } else if self.breaker.lock().succeeded() == Transition::Closed {
            tracing::info!(
                target: STATE_CHANGE,
                part = "breaker",
                state = "closed",
                "circuit breaker closed: the upstream works again"
            );
        }
        match &result.response {
            Ok(_) => self.key_circuit.accepted(key),
            Err(UpstreamError::Auth { .. }) => self.key_circuit.refused(key, now),
            // Other errors say nothing about the key.
            Err(_) => {}
        }
    }

    /// Returns whether a background refresh could leave now.
    pub(super) fn can_refresh_now(&self) -> bool {
        self.queue.can_refresh_now() && self.check_circuits(&self.key_circuit.current()).is_ok()
    }
}

/// Counts the outcome of a call. A call that was not made has a duration of zero.
fn count(file: &FileId, outcome: UpstreamOutcome, took: Option<Duration>) {
    let nanos = took.map_or(0, |took| u64::try_from(took.as_nanos()).unwrap_or(u64::MAX).max(1));
    let (outcome, file) = (outcome as u64, file.as_bytes());
    tracing::info!(target: "ikgate.upstream", outcome, duration_nanos = nanos, file.id = file);
}

#[cfg(test)]
mod tests;
