//! A fill's way to the upstream: may it leave, does it come back, is it worth another try?
//!
//! ```text
//! breaker open?  key refused?  ->  a cell of the budget  ->  a place  ->  the exchange
//!        what came back: budget, breaker and key each take note  ->  again, or the end
//! ```

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use super::UpstreamSettings;
use super::answer::Answer;
use super::breaker::{Breaker, BreakerState, Change};
use super::budget::Priority;
use super::error::{UpstreamError, UpstreamOutcome};
use super::key_gate::KeyGate;
use super::retry::{self, RetryBudget};
use super::transport::{Exchanged, Transport, UpstreamStartError};
use super::turns::{Sent, Turns};
use crate::clock::Clock;
use crate::file_id::FileId;
use crate::secret::{PrivateKey, Secret};

/// Calls that may wait for one of `max_concurrency` places. More would only time out later;
/// each holds a task and its waiters.
const QUEUE_MAX: usize = 1024;

/// The upstream.
pub struct Upstream {
    transport: Transport,
    turns: Turns,
    breaker: Mutex<Breaker>,
    retries: Mutex<RetryBudget>,
    key_gate: KeyGate,
    in_flight: Semaphore,
    queued: Semaphore,
    request_timeout: Duration,
    clock: Clock,
}

impl Upstream {
    pub fn new(
        settings: &UpstreamSettings,
        key: Arc<PrivateKey>,
        clock: Clock,
    ) -> Result<Self, UpstreamStartError> {
        Ok(Self {
            transport: Transport::new(settings, clock.monotonic())?,
            turns: Turns::new(settings.budget, &clock),
            breaker: Mutex::new(Breaker::new(settings.breaker)),
            retries: Mutex::new(RetryBudget::new(settings.retries)),
            key_gate: KeyGate::new(key),
            in_flight: Semaphore::new(settings.max_concurrency),
            queued: Semaphore::new(settings.max_concurrency + QUEUE_MAX),
            request_timeout: settings.request_timeout,
            clock,
        })
    }

    /// Asks for the version list of `id`, as often as that makes sense within the time that a
    /// fill may take.
    pub async fn versions(&self, id: &FileId, priority: Priority) -> Result<Answer, UpstreamError> {
        let deadline = Instant::now() + self.request_timeout;
        self.retries.lock().called();
        let (mut retried, mut keys_tried) = (0, 1);
        loop {
            let key = self.key_gate.current();
            let error = match self.call(id, &key, priority, deadline).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            if matches!(error, UpstreamError::Auth { status: Some(_) }) {
                // A rolled key is in the file before anybody tells us.
                if keys_tried > 1 || !self.key_gate.has_other_than(&key).await {
                    return Err(error);
                }
                keys_tried += 1;
                continue;
            }
            let wait = retry::backoff(retried, fastrand::u16(..));
            let in_time = Instant::now() + wait < deadline;
            if !retry::is_worthwhile(&error) || !in_time || !self.retries.lock().take(retried) {
                return Err(error);
            }
            tokio::time::sleep(wait).await;
            retried += 1;
        }
    }

    /// One call, if one may leave.
    async fn call(
        &self,
        id: &FileId,
        key: &Arc<Secret>,
        priority: Priority,
        deadline: Instant,
    ) -> Result<Answer, UpstreamError> {
        let _queued = self.queued.try_acquire().map_err(|_| UpstreamError::QueueFull)?;
        // Looked at before a cell is spent, and taken after: a probe that then gets no cell would
        // keep others from probing.
        let now = self.clock.monotonic();
        let stopped = |wait| UpstreamError::BreakerOpen { wait };
        self.breaker.lock().peek(now).map_err(stopped)?;
        if !self.key_gate.would_admit(key, now) {
            return Err(UpstreamError::Auth { status: None });
        }
        let sent = self.turns.take(priority).await.map_err(UpstreamError::Spent)?;
        let now = self.clock.monotonic();
        self.breaker.lock().admit(now).map_err(stopped)?;
        if !self.key_gate.admit(key, now) {
            return Err(UpstreamError::Auth { status: None });
        }
        let exchange = async {
            let _place = self.in_flight.acquire().await.expect("the semaphore is never closed");
            self.transport.exchange(id, key, self.clock.monotonic()).await
        };
        let started = self.clock.monotonic();
        let exchanged = timeout_at(deadline, exchange).await.unwrap_or_else(|_elapsed| Exchanged {
            answer: Err(UpstreamError::Timeout { after: self.request_timeout }),
            window: None,
        });
        self.take_note(&exchanged, key, sent, started);
        exchanged.answer
    }

    /// Everybody who learns from an exchange does.
    fn take_note(&self, exchanged: &Exchanged, key: &Arc<Secret>, sent: Sent, started: Duration) {
        let now = self.clock.monotonic();
        let error = exchanged.answer.as_ref().err();
        let outcome = match &exchanged.answer {
            Ok(answer) => answer.outcome(),
            Err(error) => error.outcome(),
        };
        count(outcome, now.saturating_sub(started));
        if let Some(window) = exchanged.window {
            self.turns.learn(window);
        }
        if let Some(UpstreamError::Busy { wait, .. }) = error {
            tracing::warn!(?wait, "the upstream asks to wait");
            self.turns.refused(*wait);
        } else {
            self.turns.ended(sent);
        }
        if error.is_some_and(UpstreamError::is_outage) {
            if self.breaker.lock().failed(now) == Change::Opened {
                tracing::error!("the upstream fails: calls stop for a while");
            }
            return;
        }
        if self.breaker.lock().succeeded() == Change::Closed {
            tracing::info!("the upstream works again");
        }
        if matches!(error, Some(UpstreamError::Auth { .. })) {
            self.key_gate.refused(key, now);
        } else {
            self.key_gate.accepted();
        }
    }

    /// Whether a call that nobody waits for could leave now.
    pub fn has_for_background(&self) -> bool {
        let now = self.clock.monotonic();
        self.turns.has_for_background()
            && self.breaker.lock().peek(now).is_ok()
            && self.key_gate.would_admit(&self.key_gate.current(), now)
    }

    /// Calls that could be spent now.
    pub fn budget_available(&self) -> u32 {
        self.turns.available()
    }

    pub fn breaker_state(&self) -> BreakerState {
        self.breaker.lock().state()
    }
}

fn count(outcome: UpstreamOutcome, took: Duration) {
    tracing::info!(
        target: "ikgate.upstream",
        outcome = outcome as u64,
        duration_nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX),
    );
}
