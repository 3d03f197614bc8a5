//! Second-level cache in Redis, shared by the fleet: a response that one node fetched is reused by
//! the others.
//!
//! A fill lease makes one node fetch a file at a time. The second level is best effort: a lookup
//! has 20 ms to start and 20 ms to finish. If Redis is slow, full or away, the node fetches for
//! itself. The age of a found response counts from the lookup before its fetch, by the server's
//! clock, which is the same for all nodes.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use super::bus::{Found, Look, Ticket, Token, Values};
use super::outbox::Outbox;
use super::standing::{ClusterState, Standing};
use super::value::Value;
use crate::breaker::{Breaker, BreakerSettings};
use crate::cache::{FreshnessSettings, Kind};
use crate::clock::Clock;
use crate::file_id::FileId;

/// Timeout of a lookup. A longer one finds more on a busy network. While Redis fails, each cache
/// miss takes this much longer until the breaker opens.
const LOOK_DEADLINE: Duration = Duration::from_millis(20);

/// Timeout of a store. No request waits for it.
const KEEP_DEADLINE: Duration = Duration::from_millis(500);

/// Longest wait for a fill of another node: most fills are short. After it this node fetches as
/// well, since the other one may be gone.
const OTHERS_FILL: Duration = Duration::from_secs(1);
/// Divisor of the fill timeout: the wait is at most this part of it.
const OTHERS_PART: u32 = 4;
/// Shortest and longest pause between two lookups while waiting. The pause doubles.
const POLL_MIN: Duration = Duration::from_millis(2);
const POLL_MAX: Duration = Duration::from_millis(25);

/// Concurrent lookups. More would only queue on the connection, each with a value in memory.
const LOOKS_MAX: usize = 64;

/// Bodies at least this long, in bytes, are compressed on a blocking thread. Below it, compression
/// takes a fraction of a millisecond.
const ENCODED_AT_ONCE: usize = 64 * 1024;
/// Values at least this long, in bytes, are decompressed on a blocking thread. It is lower, since a
/// compressed value may become much longer.
const DECODED_AT_ONCE: usize = 16 * 1024;

/// Circuit breaker for the second level: after five failures it is not used for a second.
const PATIENCE: BreakerSettings = BreakerSettings { failures: 5, open_for: Duration::from_secs(1) };

/// Outcome of a lookup or a store; a label value of the metrics.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum SecondLevelOutcome {
    /// Redis failed or did not respond in time.
    Failed,
    /// The lookup found a fresh value.
    Hit,
    /// The value was stored.
    Kept,
    /// The lookup found no value that is fresh here.
    Miss,
    /// The value was not stored: a purge came after the lookup, or the fill took too long.
    Refused,
}

impl SecondLevelOutcome {
    /// All outcomes, in the order of their numbers.
    pub const ALL: [Self; 5] = [Self::Failed, Self::Hit, Self::Kept, Self::Miss, Self::Refused];

    /// Returns the label value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Hit => "hit",
            Self::Kept => "kept",
            Self::Miss => "miss",
            Self::Refused => "refused",
        }
    }

    fn emit(self) {
        tracing::info!(target: "ikgate.second_level", outcome = self as u64);
    }
}

/// Second-level cache of one node.
pub(super) struct SecondLevel<S> {
    server: Arc<S>,
    standing: Arc<Standing>,
    outbox: Arc<Outbox>,
    breaker: Mutex<Breaker>,
    looks: Semaphore,
    clock: Clock,
    limits: FillLimits,
}

/// Limits of a fill, whether its response comes from the upstream or from the second level.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FillLimits {
    /// Longest body, in bytes.
    pub body_max: usize,
    /// Time that a fill may take.
    pub fill_timeout: Duration,
}

/// Result of a lookup in the second level.
pub enum Seen {
    /// A response that another node fetched and that is fresh here.
    Shared(SharedResponse),
    /// No response: the gateway must fetch. With a permit it may store the result for the fleet.
    Nothing(Option<Permit>),
}

/// A response that another node fetched.
#[derive(Clone, Debug)]
pub struct SharedResponse {
    /// Kind of the response: a version list or a negative response.
    pub kind: Kind,
    /// Body, decompressed.
    pub body: Bytes,
    /// Time that its age counts from, in the gateway's monotonic time.
    pub as_of: Duration,
    /// Freshness lifetime, counted from `as_of`.
    pub ttl: Duration,
}

/// Permit to store a fetched response in the second level.
pub struct Permit {
    ticket: Ticket,
    token: Token,
    /// Time of the lookup that gave it, in the gateway's monotonic time.
    at: Duration,
}

impl<S: Values> SecondLevel<S> {
    pub(super) fn new(
        server: Arc<S>,
        standing: Arc<Standing>,
        outbox: Arc<Outbox>,
        clock: Clock,
        limits: FillLimits,
    ) -> Self {
        let breaker = Mutex::new(Breaker::new(PATIENCE));
        let looks = Semaphore::new(LOOKS_MAX);
        Self { server, standing, outbox, breaker, looks, clock, limits }
    }

    /// Looks up a response that is fresh under `rules`. While another node fetches it, waits a
    /// little.
    pub(super) async fn find(&self, file: &FileId, rules: &FreshnessSettings) -> Seen {
        let until =
            self.clock.monotonic() + OTHERS_FILL.min(self.limits.fill_timeout / OTHERS_PART);
        let (token, mut poll) = (Token(fastrand::u64(..)), POLL_MIN);
        loop {
            let turn = tokio::time::timeout(LOOK_DEADLINE, self.looks.acquire()).await;
            let Ok(Ok(turn)) = turn else {
                SecondLevelOutcome::Failed.emit();
                return Seen::Nothing(None);
            };
            let Some((asked, look)) = self.look(file, token).await else {
                return Seen::Nothing(None);
            };
            let permit = Permit { ticket: look.ticket.clone(), token, at: asked };
            match look.found {
                Found::Value(bytes) => {
                    let read = self.read(bytes, asked, &look.ticket, rules).await;
                    let outcome = if read.is_some() {
                        SecondLevelOutcome::Hit
                    } else {
                        SecondLevelOutcome::Miss
                    };
                    outcome.emit();
                    return read.map_or(Seen::Nothing(Some(permit)), Seen::Shared);
                }
                Found::Wait if asked < until => {
                    drop(turn);
                    tokio::time::sleep(poll).await;
                    poll = (poll * 2).min(POLL_MAX);
                }
                Found::Lead | Found::Wait => {
                    SecondLevelOutcome::Miss.emit();
                    return Seen::Nothing(Some(permit));
                }
            }
        }
    }

    /// Returns the server's response and the time of the request. Returns `None` if the second
    /// level cannot be used.
    async fn look(&self, file: &FileId, token: Token) -> Option<(Duration, Look)> {
        let asked = self.clock.monotonic();
        // A file that is purged here and not yet on the server must not be read back from the
        // server.
        let may_share =
            self.standing.state(asked) == ClusterState::Connected && self.outbox.len() == 0;
        if !may_share || self.breaker.lock().admit(asked).is_err() {
            return None;
        }
        let look = tokio::time::timeout(LOOK_DEADLINE, self.server.look(file, token)).await;
        let now = self.clock.monotonic();
        match look {
            // A process that was suspended may find an old response and no timeout.
            Ok(Ok(look)) if now <= asked + LOOK_DEADLINE => {
                self.breaker.lock().succeeded();
                Some((asked, look))
            }
            Ok(_) | Err(_) => {
                self.breaker.lock().failed(now);
                SecondLevelOutcome::Failed.emit();
                self.give_up(*file, token);
                None
            }
        }
    }

    async fn read(
        &self,
        bytes: Bytes,
        asked: Duration,
        ticket: &Ticket,
        rules: &FreshnessSettings,
    ) -> Option<SharedResponse> {
        let value = decode(bytes, self.limits.body_max).await?;
        // If the server's clock was set back since, the age is unknown.
        let age = ticket.at.checked_sub(value.as_of)?;
        let as_of = asked.checked_sub(age)?;
        let Value { kind, body, ttl, .. } = value;
        (age < ttl.min(rules.ttl_max(kind))).then_some(SharedResponse { kind, body, as_of, ttl })
    }

    /// Releases the lease in the background. A lookup that timed out may have taken it, and other
    /// nodes would wait for nothing.
    fn give_up(&self, file: FileId, token: Token) {
        let server = Arc::clone(&self.server);
        tokio::spawn(async move {
            _ = tokio::time::timeout(KEEP_DEADLINE, server.release(&file, token)).await;
        });
    }

    /// Stores a response for the fleet, fresh for `ttl`. If its file was purged less than
    /// `rules.settle` ago, it is fresh for `rules.settle` at most.
    pub(super) async fn keep(
        &self,
        file: &FileId,
        permit: Permit,
        (kind, body): (Kind, Bytes),
        ttl: Duration,
        rules: &FreshnessSettings,
    ) {
        let ttl = if permit.ticket.is_settled(rules.settle) { ttl } else { ttl.min(rules.settle) };
        let left = (permit.at + ttl).saturating_sub(self.clock.monotonic());
        let value = Value { kind, body, as_of: permit.ticket.at, ttl };
        let value = encode(value).await.filter(|_| !left.is_zero());
        let Some(value) = value else {
            return self.release(file, permit).await;
        };
        let kept = self.server.keep(file, &permit.ticket, permit.token, value, left);
        match tokio::time::timeout(KEEP_DEADLINE, kept).await {
            Ok(Ok(true)) => SecondLevelOutcome::Kept.emit(),
            Ok(Ok(false)) => SecondLevelOutcome::Refused.emit(),
            Ok(Err(_)) | Err(_) => {
                SecondLevelOutcome::Failed.emit();
                self.release(file, permit).await;
            }
        }
    }

    /// Gives the fill lease back, so that another node may fetch.
    pub(super) async fn release(&self, file: &FileId, permit: Permit) {
        // The lease expires by itself if this does not reach the server.
        _ = tokio::time::timeout(KEEP_DEADLINE, self.server.release(file, permit.token)).await;
    }
}

/// Decodes a value; a long one on a blocking thread, so that it does not hold up requests.
async fn decode(bytes: Bytes, body_max: usize) -> Option<Value> {
    if bytes.len() < DECODED_AT_ONCE {
        return Value::decode(&bytes, body_max);
    }
    tokio::task::spawn_blocking(move || Value::decode(&bytes, body_max)).await.ok().flatten()
}

/// Encodes a value; a long one on a blocking thread, so that it does not hold up requests.
async fn encode(value: Value) -> Option<Bytes> {
    if value.body.len() < ENCODED_AT_ONCE {
        return value.encode();
    }
    tokio::task::spawn_blocking(move || value.encode()).await.ok().flatten()
}

#[cfg(test)]
mod tests;
