//! Circuit breaker for a private key that the upstream refuses.
//!
//! One refusal may be due to one odd file. Three in a row open the breaker. Then only a probe
//! leaves every ten seconds, until one succeeds or the key changes.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::health::FailingCalls;
use super::settings::STATE_CHANGE;
use crate::breaker::{Breaker, BreakerSettings, Transition};
use crate::secret::{PrivateKey, Secret};

const REFUSALS: BreakerSettings =
    BreakerSettings { failures: 3, open_for: Duration::from_secs(10) };

/// Last verdict of the upstream on the current private key.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyStatus {
    /// No call with this key was accepted or refused yet.
    Untried,
    Accepted,
    /// The upstream answered 401 or 403.
    Refused,
}

impl KeyStatus {
    /// Returns the status as a word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Untried => "untried",
            Self::Accepted => "accepted",
            Self::Refused => "refused",
        }
    }
}

/// Private key, and the breaker for it.
pub(super) struct KeyCircuit {
    key: Arc<PrivateKey>,
    state: Mutex<State>,
}

struct State {
    breaker: Breaker,
    /// Key that the breaker and the answers are about.
    of: Arc<Secret>,
    answers: Answers,
}

/// Answers of the upstream to calls with one key.
#[derive(Clone, Copy)]
enum Answers {
    None,
    Accepted,
    /// Refusals since the last acceptance.
    Refused(FailingCalls),
}

impl State {
    fn of(key: Arc<Secret>) -> Self {
        Self { breaker: Breaker::new(REFUSALS), of: key, answers: Answers::None }
    }
}

impl KeyCircuit {
    pub(super) fn new(key: Arc<PrivateKey>) -> Self {
        let state = Mutex::new(State::of(key.current()));
        Self { key, state }
    }

    pub(super) fn current(&self) -> Arc<Secret> {
        self.key.current()
    }

    /// Returns whether a call with this key could leave.
    pub(super) fn would_admit(&self, key: &Arc<Secret>, now: Duration) -> bool {
        let state = self.state.lock();
        !Arc::ptr_eq(&state.of, key) || state.breaker.peek(now).is_ok()
    }

    /// Returns the last verdict of the upstream on the current key.
    pub(super) fn status(&self) -> KeyStatus {
        match self.answers() {
            Answers::None => KeyStatus::Untried,
            Answers::Accepted => KeyStatus::Accepted,
            Answers::Refused(_) => KeyStatus::Refused,
        }
    }

    /// Returns the refusals of the current key since it was last accepted.
    pub(super) fn refusals(&self) -> Option<FailingCalls> {
        match self.answers() {
            Answers::Refused(refusals) => Some(refusals),
            Answers::None | Answers::Accepted => None,
        }
    }

    /// Returns the answers to the current key. A key that no call has used yet has none.
    fn answers(&self) -> Answers {
        let state = self.state.lock();
        if Arc::ptr_eq(&state.of, &self.current()) { state.answers } else { Answers::None }
    }

    /// Admits a call with this key, or returns how long until one may leave.
    pub(super) fn admit(&self, key: &Arc<Secret>, now: Duration) -> Result<(), Duration> {
        let mut state = self.state.lock();
        if !Arc::ptr_eq(&state.of, key) {
            *state = State::of(Arc::clone(key));
        }
        state.breaker.admit(now)
    }

    /// Reads the key file again. Returns whether the current key differs from `key`.
    pub(super) async fn has_other_than(&self, key: &Arc<Secret>, deadline: Instant) -> bool {
        let source = Arc::clone(&self.key);
        // The task that watches the file reports an unreadable one.
        let read = tokio::task::spawn_blocking(move || source.refresh());
        _ = tokio::time::timeout_at(deadline, read).await;
        !Arc::ptr_eq(&self.current(), key)
    }

    pub(super) fn refused(&self, key: &Arc<Secret>, now: Duration) {
        let mut state = self.state.lock();
        // A call that left with the last key says nothing about this one.
        if !Arc::ptr_eq(&state.of, key) {
            return;
        }
        let FailingCalls { since, count } = match state.answers {
            Answers::Refused(before) => before,
            Answers::None | Answers::Accepted => FailingCalls { since: now, count: 0 },
        };
        state.answers = Answers::Refused(FailingCalls { since, count: count + 1 });
        if state.breaker.failed(now) == Transition::Opened {
            tracing::error!(
                target: STATE_CHANGE,
                part = "private_key",
                state = "refused",
                "the upstream refuses the private key: calls stop except one probe every 10 s, \
                 until the key is accepted or upstream.private_key_file holds another one"
            );
        }
    }

    pub(super) fn accepted(&self, key: &Arc<Secret>) {
        let mut state = self.state.lock();
        if !Arc::ptr_eq(&state.of, key) {
            return;
        }
        state.answers = Answers::Accepted;
        if state.breaker.succeeded() == Transition::Closed {
            tracing::info!(
                target: STATE_CHANGE,
                part = "private_key",
                state = "accepted",
                "the upstream accepts the private key again"
            );
        }
    }
}
