//! Dispatch of upstream calls: admission, the exchange, and retries.
//!
//! ```text
//! breaker open?  key refused?  ->  a permit, a cell of the budget  ->  still?  ->  the exchange
//!        result: budget, breaker and key gate are updated  ->  a retry, or the end
//! ```

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::{Instant, timeout_at};

use super::answer::Answer;
use super::budget::Priority;
use super::error::{Refusal, UpstreamError, UpstreamOutcome};
use super::key_gate::KeyGate;
use super::latency::Latency;
use super::retry::{self, RetryBudget};
use super::transport::{Exchanged, Transport, UpstreamStartError};
use super::turns::{Held, Leave, Turns};
use super::{STATE_CHANGE, UpstreamSettings};
use crate::breaker::{Breaker, BreakerState, Change};
use crate::clock::Clock;
use crate::file_id::FileId;
use crate::limit::LeaseQueue;
use crate::message::TraceContext;
use crate::secret::{PrivateKey, Secret};

/// Wait that is reported to callers when too many calls wait already.
const QUEUE_WAIT: Duration = Duration::from_secs(1);

/// Version list to fetch, with the priority, trace and start time of its fill.
#[derive(Clone, Copy, Debug)]
pub struct Order {
    pub file: FileId,
    pub priority: Priority,
    /// Trace context of the request that began the fill, if it had one.
    pub trace: Option<TraceContext>,
    /// Time at which the fill began. Its deadline counts from here.
    pub began: Instant,
}

/// Transport of one exchange: the network, or a simulation of it in tests.
pub(super) trait Exchange {
    /// Requests the version list once.
    fn exchange(
        &self,
        order: &Order,
        key: &Secret,
        now: Duration,
    ) -> impl Future<Output = Exchanged> + Send;
}

/// Client for the upstream. Each method is safe to call from many tasks.
pub struct Upstream(Dispatch<Transport>);

/// Admission, retries and exchange, over any transport.
pub(super) struct Dispatch<T> {
    pub(super) transport: T,
    turns: Turns,
    breaker: Mutex<Breaker>,
    retries: Mutex<RetryBudget>,
    key_gate: KeyGate,
    latency: Mutex<Latency>,
    request_timeout: Duration,
    clock: Clock,
}

impl Upstream {
    pub fn new(
        settings: &UpstreamSettings,
        key: Arc<PrivateKey>,
        lease_queue: Option<Arc<LeaseQueue>>,
        clock: Clock,
    ) -> Result<Self, UpstreamStartError> {
        let transport = Transport::new(settings, clock.clone())?;
        Ok(Self(Dispatch::new(transport, settings, key, lease_queue, clock)))
    }

    /// Fetches a version list. Retries while that is worthwhile, within the time of a fill.
    pub async fn versions(&self, order: &Order) -> Result<Answer, UpstreamError> {
        let after = self.0.request_timeout;
        // Each step has its own deadline. This one bounds work that has none, such as a slow disk.
        let bound = order.began + after + Duration::from_millis(100);
        let answer = timeout_at(bound, self.0.versions(order)).await;
        answer.unwrap_or(Err(UpstreamError::Timeout { after }))
    }

    /// Returns whether a background refresh could leave now.
    pub fn has_for_background(&self) -> bool {
        self.0.has_for_background()
    }

    /// Returns the number of calls that the budget allows now.
    pub fn budget_available(&self) -> u32 {
        self.0.turns.available()
    }

    /// Returns the breaker's state as a call would find it at `now`, in monotonic time.
    pub fn breaker_state(&self, now: Duration) -> BreakerState {
        self.0.breaker.lock().state(now)
    }
}

impl<T: Exchange> Dispatch<T> {
    pub(super) fn new(
        transport: T,
        settings: &UpstreamSettings,
        key: Arc<PrivateKey>,
        lease_queue: Option<Arc<LeaseQueue>>,
        clock: Clock,
    ) -> Self {
        Self {
            transport,
            turns: Turns::new(settings.budget, lease_queue, settings.max_concurrency, &clock),
            breaker: Mutex::new(Breaker::new(settings.breaker)),
            retries: Mutex::new(RetryBudget::new(settings.retries)),
            key_gate: KeyGate::new(key),
            latency: Mutex::default(),
            request_timeout: settings.request_timeout,
            clock,
        }
    }

    pub(super) async fn versions(&self, order: &Order) -> Result<Answer, UpstreamError> {
        let deadline = order.began + self.request_timeout;
        let mut first: Option<UpstreamError> = None;
        let (mut retried, mut key) = (0, self.key_gate.current());
        let (mut reconnected, mut key_tried_again) = (false, false);
        loop {
            let error = match self.call(order, &mut key, deadline).await {
                Ok(answer) => return Ok(answer),
                // If a retry may not leave, the error of the last call says more.
                Err(error) if !error.has_left() => return Err(first.unwrap_or(error)),
                Err(error) => error,
            };
            let wait = match error {
                UpstreamError::Auth { .. } if !key_tried_again => {
                    // After a key rotation the file may hold the new key before the gateway has
                    // read it.
                    if !self.key_gate.has_other_than(&key, self.leave_before(deadline)).await {
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
                    let wait = retry::backoff(retried, fastrand::u16(..)).max(self.turns.paused());
                    let in_time = Instant::now() + wait < self.leave_before(deadline);
                    let worthwhile = retry::is_worthwhile(&error) && in_time;
                    if !worthwhile || !self.retries.lock().take(retried) {
                        return Err(error);
                    }
                    retried += 1;
                    wait
                }
            };
            first = Some(error);
            tokio::time::sleep(wait).await;
        }
    }

    /// Returns the latest time at which a call may leave to return by `deadline`.
    fn leave_before(&self, deadline: Instant) -> Instant {
        deadline - self.latency.lock().needed(self.request_timeout)
    }

    /// Makes one call with the current key, if a call may leave.
    async fn call(
        &self,
        order: &Order,
        key: &mut Arc<Secret>,
        deadline: Instant,
    ) -> Result<Answer, UpstreamError> {
        let leave = match self.leave(key, order.priority, self.leave_before(deadline)).await {
            Ok(leave) => leave,
            Err(error) => {
                count(error.outcome(), None);
                return Err(error);
            }
        };
        let exchange = self.transport.exchange(order, key, leave.at);
        let exchanged = timeout_at(deadline, exchange).await.unwrap_or_else(|_elapsed| Exchanged {
            answer: Err(UpstreamError::Timeout { after: self.request_timeout }),
            window: None,
            pause: None,
        });
        self.take_note(&exchanged, key, leave.at);
        exchanged.answer.map_err(|error| self.with_bucket(error))
    }

    /// Waits for every condition that a call needs to leave before `deadline`. Spends nothing on
    /// failure.
    async fn leave(
        &self,
        key: &mut Arc<Secret>,
        priority: Priority,
        deadline: Instant,
    ) -> Result<Leave<'_>, UpstreamError> {
        // Checked before the wait, so that no call waits in vain, and after it, since the state may
        // have changed. Only a call that leaves takes a probe.
        *key = self.key_gate.current();
        self.is_open(key)?;
        let leave = self.turns.take(priority, deadline).await.map_err(|held| match held {
            Held::Budget(wait) => UpstreamError::Spent(self.refusal(wait)),
            Held::Places => UpstreamError::QueueFull(self.refusal(QUEUE_WAIT)),
        })?;
        *key = self.key_gate.current();
        let admitted = self.is_open(key).and_then(|()| self.admit(key, leave.at));
        if admitted.is_err() {
            // This call will not leave. If it was the budget's probe, end the probe without a
            // result.
            self.turns.ended(leave.at);
        }
        admitted.map(|()| leave)
    }

    /// Returns an error if the breaker or the key gate stops calls.
    fn is_open(&self, key: &Arc<Secret>) -> Result<(), UpstreamError> {
        let now = self.clock.monotonic();
        let stopped = |wait| UpstreamError::BreakerOpen(self.refusal(wait));
        self.breaker.lock().peek(now).map_err(stopped)?;
        if self.key_gate.would_admit(key, now) {
            Ok(())
        } else {
            Err(UpstreamError::Auth { status: None })
        }
    }

    /// Admits the call at the breaker and at the key gate. If only a probe may leave, only the
    /// first call is admitted.
    fn admit(&self, key: &Arc<Secret>, now: Duration) -> Result<(), UpstreamError> {
        let stopped = |wait| UpstreamError::BreakerOpen(self.refusal(wait));
        self.breaker.lock().admit(now).map_err(stopped)?;
        self.key_gate.admit(key, now).map_err(|_| UpstreamError::Auth { status: None })
    }

    fn refusal(&self, wait: Duration) -> Refusal {
        let (burst, refill) = self.turns.shown();
        Refusal { wait, burst, refill }
    }

    /// Fills in the budget's limit and interval if a 429 does not state its own.
    fn with_bucket(&self, error: UpstreamError) -> UpstreamError {
        let UpstreamError::Busy { wait, mut fields } = error else { return error };
        let (burst, refill) = self.turns.shown();
        fields.limit = fields.limit.or(Some(u64::from(burst)));
        fields.interval_millis = fields.interval_millis.or(u64::try_from(refill.as_millis()).ok());
        UpstreamError::Busy { wait, fields }
    }

    /// Updates metrics, latency, retries, budget, breaker and key gate with the result of an
    /// exchange.
    fn take_note(&self, exchanged: &Exchanged, key: &Arc<Secret>, sent: Duration) {
        let now = self.clock.monotonic();
        let error = exchanged.answer.as_ref().err();
        let outcome = match &exchanged.answer {
            Ok(answer) => answer.outcome(),
            Err(error) => error.outcome(),
        };
        count(outcome, Some(now.saturating_sub(sent)));
        if exchanged.answer.is_ok() {
            self.latency.lock().took(now.saturating_sub(sent));
        }
        self.retries.lock().called();
        if let Some(window) = exchanged.window {
            self.turns.learn(window);
        }
        if let Some(wait) = exchanged.pause {
            tracing::warn!(
                target: STATE_CHANGE,
                part = "budget",
                state = "paused",
                ?wait,
                "the upstream asks the gateway to wait: no call leaves for that time, at most 1 min"
            );
            self.turns.refused(wait);
        } else {
            self.turns.ended(sent);
        }
        if error.is_some_and(UpstreamError::is_outage) {
            if self.breaker.lock().failed(now) == Change::Opened {
                tracing::error!(
                    target: STATE_CHANGE,
                    part = "breaker",
                    state = "open",
                    "circuit breaker open: the upstream failed several times in a row; calls stop, \
                     then one probe at a time tests it"
                );
            }
        } else if self.breaker.lock().succeeded() == Change::Closed {
            tracing::info!(
                target: STATE_CHANGE,
                part = "breaker",
                state = "closed",
                "circuit breaker closed: the upstream works again"
            );
        }
        match &exchanged.answer {
            Ok(_) => self.key_gate.accepted(key),
            Err(UpstreamError::Auth { .. }) => self.key_gate.refused(key, now),
            // Other errors say nothing about the key.
            Err(_) => {}
        }
    }

    pub(super) fn has_for_background(&self) -> bool {
        self.turns.has_for_background() && self.is_open(&self.key_gate.current()).is_ok()
    }
}

/// Counts the outcome of a call. A call that was not made has a duration of zero.
fn count(outcome: UpstreamOutcome, took: Option<Duration>) {
    let nanos = took.map_or(0, |took| u64::try_from(took.as_nanos()).unwrap_or(u64::MAX).max(1));
    tracing::info!(target: "ikgate.upstream", outcome = outcome as u64, duration_nanos = nanos);
}

#[cfg(test)]
mod tests;
