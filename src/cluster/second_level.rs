//! The cache that the fleet shares: what one node has fetched need not be fetched by the others,
//! and of each file one node fetches at a time.
//!
//! Never waited for for long, and never needed: with a server that is slow, or full, or away, a
//! node fetches for itself. What is found is as old as when whoever fetched it had looked here
//! before: by the server's clock, which is the same for all.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use super::bus::{Found, Look, Ticket, Token, Values};
use super::outbox::Outbox;
use super::standing::{ClusterState, Standing};
use super::value::Value;
use crate::cache::{FreshnessSettings, Kind};
use crate::clock::Clock;
use crate::file_id::FileId;
use crate::upstream::{Breaker, BreakerSettings};

/// How long the server may take to say what it has. Longer finds more on a busy network; each
/// miss of a server that fails takes so much longer, until it is left alone.
const LOOK_DEADLINE: Duration = Duration::from_millis(20);

/// How long storing may take: nobody waits for it.
const KEEP_DEADLINE: Duration = Duration::from_millis(500);

/// How long to wait for what another node is fetching, at most, and how often to look: most
/// fills are short. After that one fetches as well: the other may be gone.
const OTHERS_FILL: Duration = Duration::from_secs(1);
/// And at most this part of the time that a fill has, as a divisor.
const OTHERS_PART: u32 = 4;
const POLL_MIN: Duration = Duration::from_millis(2);
const POLL_MAX: Duration = Duration::from_millis(25);

/// Looks at a time: more would only queue on the connection, with a value of each in memory.
const LOOKS_MAX: usize = 64;

/// Longer bodies are compressed elsewhere. Of this length it takes a fraction of a millisecond.
const ENCODED_AT_ONCE: usize = 64 * 1024;
/// The same of values that are read: of what is compressed, much more may come.
const DECODED_AT_ONCE: usize = 16 * 1024;

/// A server that fails is left alone for a while.
const PATIENCE: BreakerSettings = BreakerSettings { failures: 5, open_for: Duration::from_secs(1) };

/// What became of a look or a store, as metrics name it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum SecondLevelOutcome {
    /// The server failed or was slow.
    Failed,
    Hit,
    Kept,
    Miss,
    /// Something was purged since, or it had taken too long.
    Refused,
}

impl SecondLevelOutcome {
    pub const ALL: [Self; 5] = [Self::Failed, Self::Hit, Self::Kept, Self::Miss, Self::Refused];

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

pub(super) struct SecondLevel<S> {
    server: Arc<S>,
    standing: Arc<Standing>,
    outbox: Arc<Outbox>,
    breaker: Mutex<Breaker>,
    looks: Semaphore,
    clock: Clock,
    limits: FillLimits,
}

/// What fills are held to, wherever their response comes from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FillLimits {
    /// Longest body, in bytes.
    pub body_max: usize,
    /// How long a fill may take.
    pub fill_timeout: Duration,
}

/// What there is of a file.
pub enum Seen {
    Shared(SharedResponse),
    /// Fetch it. With a permit, for the others too.
    Nothing(Option<Permit>),
}

/// A response that another node fetched.
#[derive(Clone, Debug)]
pub struct SharedResponse {
    pub kind: Kind,
    pub body: Bytes,
    /// By our own clock.
    pub as_of: Duration,
    /// How long it is fresh from then on.
    pub ttl: Duration,
}

/// What a fetched response may be stored with.
pub struct Permit {
    ticket: Ticket,
    token: Token,
    /// When it was given, by our own clock.
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

    /// Looks for a response that is fresh here, too; while another node fetches it, waits a little.
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

    /// What the server has, and when it was asked.
    async fn look(&self, file: &FileId, token: Token) -> Option<(Duration, Look)> {
        let asked = self.clock.monotonic();
        // What was purged here and not there yet must not come back.
        let may_share =
            self.standing.state(asked) == ClusterState::Connected && self.outbox.len() == 0;
        if !may_share || self.breaker.lock().admit(asked).is_err() {
            return None;
        }
        let look = tokio::time::timeout(LOOK_DEADLINE, self.server.look(file, token)).await;
        let now = self.clock.monotonic();
        match look {
            // A process that slept may find an answer of long ago, and no timeout.
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
        // By a clock that was set back since, nobody knows how old it is.
        let age = ticket.at.checked_sub(value.as_of)?;
        let as_of = asked.checked_sub(age)?;
        let Value { kind, body, ttl, .. } = value;
        (age < ttl.min(rules.ttl_max(kind))).then_some(SharedResponse { kind, body, as_of, ttl })
    }

    /// What was not heard in time may have taken the lease: others would wait for nothing.
    fn give_up(&self, file: FileId, token: Token) {
        let server = Arc::clone(&self.server);
        tokio::spawn(async move {
            _ = tokio::time::timeout(KEEP_DEADLINE, server.release(&file, token)).await;
        });
    }

    /// Stores a response for the others, fresh for `ttl`.
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

    /// Lets another node fetch.
    pub(super) async fn release(&self, file: &FileId, permit: Permit) {
        // Its lease ends by itself if this is not heard.
        _ = tokio::time::timeout(KEEP_DEADLINE, self.server.release(file, permit.token)).await;
    }
}

/// Long values take their time, which threads that answer do not have.
async fn decode(bytes: Bytes, body_max: usize) -> Option<Value> {
    if bytes.len() < DECODED_AT_ONCE {
        return Value::decode(&bytes, body_max);
    }
    tokio::task::spawn_blocking(move || Value::decode(&bytes, body_max)).await.ok().flatten()
}

/// Long bodies take their time, which threads that answer do not have.
async fn encode(value: Value) -> Option<Bytes> {
    if value.body.len() < ENCODED_AT_ONCE {
        return value.encode();
    }
    tokio::task::spawn_blocking(move || value.encode()).await.ok().flatten()
}

#[cfg(test)]
mod tests;
