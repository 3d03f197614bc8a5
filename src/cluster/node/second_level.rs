//! Second-level cache in Redis, shared by the fleet: a response that one node fetched is reused by
//! the others.
//!
//! While one node holds the fill lease of a file, the others wait for its response, a second at most.
//! The second level is best effort: a lookup has 20 ms to start and 20 ms to finish. If Redis is slow,
//! full or away, the node fetches for itself. The age of a found response counts from the lookup that
//! the fetching node made before its fetch, by the clock of Redis, which is the same for all nodes; and
//! from earlier, if the upstream's response had an age of its own.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use super::link_health::{ClusterState, LinkHealth};
use super::outbox::Outbox;
use super::second_level_outcome::SecondLevelOutcome;
use super::shared_value::SharedValue;
use crate::breaker::{Breaker, BreakerSettings};
use crate::cache::{FreshnessSettings, Kind};
use crate::clock::Clock;
use crate::cluster::protocol::{
    FenceSnapshot, LeaseToken, LookupReply, LookupResult, SharedValues,
};
use crate::file_id::FileId;

/// Timeout of a lookup. A longer one finds more on a busy network. While Redis fails, each cache
/// miss takes this much longer until the breaker opens.
const LOOKUP_TIMEOUT: Duration = Duration::from_millis(20);

/// Timeout of a store. No request waits for it.
const KEEP_TIMEOUT: Duration = Duration::from_millis(500);

/// Longest wait for a fill of another node: most fills are short. After it this node fetches as
/// well, since the other one may be gone.
const OTHER_FILL_WAIT: Duration = Duration::from_secs(1);
/// Divisor of the fill timeout: the wait is at most this part of it.
const OTHER_FILL_DIVISOR: u32 = 4;
/// Shortest and longest pause between two lookups while waiting. The pause doubles.
const POLL_MIN: Duration = Duration::from_millis(2);
const POLL_MAX: Duration = Duration::from_millis(25);

/// Concurrent lookups. More would only queue on the connection, each with a value in memory.
const LOOKUPS_MAX: usize = 64;

/// Bodies at least this long, in bytes, are compressed on a blocking thread. Below it, compression
/// takes a fraction of a millisecond.
const ENCODE_INLINE_BELOW: usize = 64 * 1024;
/// Values at least this long, in bytes, are decompressed on a blocking thread. It is lower, since a
/// compressed value may become much longer.
const DECODE_INLINE_BELOW: usize = 16 * 1024;

/// Circuit breaker for the second level: after five failures it is not used for a second.
const BREAKER: BreakerSettings = BreakerSettings { failures: 5, open_for: Duration::from_secs(1) };

/// Second-level cache of one node.
pub(in crate::cluster) struct SecondLevel<S> {
    server: Arc<S>,
    health: Arc<LinkHealth>,
    outbox: Arc<Outbox>,
    breaker: Mutex<Breaker>,
    lookups: Semaphore,
    clock: Clock,
    limits: FillLimits,
}

/// Limits of a fill, whether its response comes from the upstream or from the second level.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FillLimits {
    /// Longest body, in bytes.
    pub body_max: usize,
    /// Time that a fill may take.
    pub request_timeout: Duration,
}

/// Result of a lookup in the second level.
pub enum SharedLookup {
    /// A response that another node fetched and that is fresh on this node.
    Found(SharedResponse),
    /// No response: the gateway must fetch. With a permit it may store the result for the fleet.
    Missing(Option<StorePermit>),
}

/// Response that one node fetched, for the others.
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
pub struct StorePermit {
    snapshot: FenceSnapshot,
    token: LeaseToken,
    /// Time of the lookup that gave it, in the gateway's monotonic time.
    at: Duration,
}

impl<S: SharedValues> SecondLevel<S> {
    pub(in crate::cluster) fn new(
        server: Arc<S>,
        health: Arc<LinkHealth>,
        outbox: Arc<Outbox>,
        clock: Clock,
        limits: FillLimits,
    ) -> Self {
        let breaker = Mutex::new(Breaker::new(BREAKER));
        let lookups = Semaphore::new(LOOKUPS_MAX);
        Self { server, health, outbox, breaker, lookups, clock, limits }
    }

    /// Looks up a response that is fresh under `rules`. While another node fetches it, waits a
    /// little.
    pub(in crate::cluster) async fn find(
        &self,
        file: &FileId,
        rules: &FreshnessSettings,
    ) -> SharedLookup {
        let until = self.clock.monotonic()
            + OTHER_FILL_WAIT.min(self.limits.request_timeout / OTHER_FILL_DIVISOR);
        let (token, mut poll) = (LeaseToken(fastrand::u64(..)), POLL_MIN);
        loop {
            let lookup_permit = tokio::time::timeout(LOOKUP_TIMEOUT, self.lookups.acquire()).await;
            let Ok(Ok(lookup_permit)) = lookup_permit else {
                SecondLevelOutcome::Failed.emit();
                return SharedLookup::Missing(None);
            };
            let Some((began, reply)) = self.look_up(file, token).await else {
                return SharedLookup::Missing(None);
            };
            let permit = StorePermit { snapshot: reply.snapshot.clone(), token, at: began };
            match reply.result {
                LookupResult::Value(bytes) => {
                    let response = self.decode(bytes, began, &reply.snapshot, rules).await;
                    let outcome = if response.is_some() {
                        SecondLevelOutcome::Hit
                    } else {
                        SecondLevelOutcome::Miss
                    };
                    outcome.emit();
                    return response
                        .map_or(SharedLookup::Missing(Some(permit)), SharedLookup::Found);
                }
                LookupResult::LeaseTaken if began < until => {
                    drop(lookup_permit);
                    tokio::time::sleep(poll).await;
                    poll = (poll * 2).min(POLL_MAX);
                }
                LookupResult::LeaseGranted | LookupResult::LeaseTaken => {
                    SecondLevelOutcome::Miss.emit();
                    return SharedLookup::Missing(Some(permit));
                }
            }
        }
    }

    /// Looks up a file on the server. Returns the time of the request and the reply; `None` if the
    /// second level cannot be used.
    async fn look_up(&self, file: &FileId, token: LeaseToken) -> Option<(Duration, LookupReply)> {
        let began = self.clock.monotonic();
        // A file that is purged on this node and not yet on the server must not be read back from
        // the server.
        let may_share =
            self.health.state(began) == ClusterState::Connected && self.outbox.len() == 0;
        if !may_share || self.breaker.lock().admit(began).is_err() {
            return None;
        }
        let reply = tokio::time::timeout(LOOKUP_TIMEOUT, self.server.look_up(file, token)).await;
        let now = self.clock.monotonic();
        match reply {
            // A process that was suspended may find an old response and no timeout.
            Ok(Ok(reply)) if now <= began + LOOKUP_TIMEOUT => {
                self.breaker.lock().succeeded();
                Some((began, reply))
            }
            Ok(_) | Err(_) => {
                self.breaker.lock().failed(now);
                SecondLevelOutcome::Failed.emit();
                self.release_in_background(*file, token);
                None
            }
        }
    }

    /// Decodes a value. Returns `None` if it cannot be read, or is not fresh under `rules`.
    async fn decode(
        &self,
        bytes: Bytes,
        began: Duration,
        snapshot: &FenceSnapshot,
        rules: &FreshnessSettings,
    ) -> Option<SharedResponse> {
        let value = decode(bytes, self.limits.body_max).await?;
        // If the server's clock was set back since, the age is unknown.
        let age = snapshot.at.checked_sub(value.as_of)?;
        let as_of = began.checked_sub(age)?;
        let SharedValue { kind, body, ttl, .. } = value;
        (age < ttl.min(rules.ttl_max(kind))).then_some(SharedResponse { kind, body, as_of, ttl })
    }

    /// Releases the lease in the background. A lookup that timed out may have taken it, and other
    /// nodes would wait for nothing.
    fn release_in_background(&self, file: FileId, token: LeaseToken) {
        let server = Arc::clone(&self.server);
        tokio::spawn(async move {
            _ = tokio::time::timeout(KEEP_TIMEOUT, server.release(&file, token)).await;
        });
    }

    /// Stores a response for the fleet. If its file was purged less than `rules.settle` ago, it is
    /// fresh for `rules.settle` at most.
    pub(in crate::cluster) async fn keep(
        &self,
        file: &FileId,
        permit: StorePermit,
        SharedResponse { kind, body, as_of, ttl }: SharedResponse,
        rules: &FreshnessSettings,
    ) {
        let ttl =
            if permit.snapshot.is_settled(rules.settle) { ttl } else { ttl.min(rules.settle) };
        // The response left the upstream after the lookup, unless a cache there had it for longer.
        let earlier = permit.at.saturating_sub(as_of);
        let left = (permit.at + ttl).saturating_sub(self.clock.monotonic() + earlier);
        let as_of = permit.snapshot.at.saturating_sub(earlier);
        let value = SharedValue { kind, body, as_of, ttl };
        let value = encode(value).await.filter(|_| !left.is_zero());
        let Some(value) = value else {
            return self.release(file, permit).await;
        };
        let keep = self.server.keep(file, &permit.snapshot, permit.token, value, left);
        match tokio::time::timeout(KEEP_TIMEOUT, keep).await {
            Ok(Ok(true)) => SecondLevelOutcome::Kept.emit(),
            Ok(Ok(false)) => SecondLevelOutcome::Refused.emit(),
            Ok(Err(_)) | Err(_) => {
                SecondLevelOutcome::Failed.emit();
                self.release(file, permit).await;
            }
        }
    }

    /// Gives the fill lease back, so that another node may fetch.
    pub(in crate::cluster) async fn release(&self, file: &FileId, permit: StorePermit) {
        // The lease expires by itself if this does not reach the server.
        _ = tokio::time::timeout(KEEP_TIMEOUT, self.server.release(file, permit.token)).await;
    }
}

/// Decodes a value; a long one on a blocking thread, so that it does not hold up requests.
async fn decode(bytes: Bytes, body_max: usize) -> Option<SharedValue> {
    if bytes.len() < DECODE_INLINE_BELOW {
        return SharedValue::decode(&bytes, body_max);
    }
    tokio::task::spawn_blocking(move || SharedValue::decode(&bytes, body_max)).await.ok().flatten()
}

/// Encodes a value; a long one on a blocking thread, so that it does not hold up requests.
async fn encode(value: SharedValue) -> Option<Bytes> {
    if value.body.len() < ENCODE_INLINE_BELOW {
        return value.encode();
    }
    tokio::task::spawn_blocking(move || value.encode()).await.ok().flatten()
}

#[cfg(test)]
mod tests;
