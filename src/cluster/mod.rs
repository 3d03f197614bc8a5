//! Several gateways as one: what is purged on one is purged on all, what is fetched by one is not
//! fetched by the others, and what may be spent is counted once.
//!
//! A server that all of them share (Redis) keeps a stream of purges. A purge is one script there:
//! when it has run, the purge is acknowledged. Each node reads the stream in order and applies
//! what it finds; a node that was away replays what it missed, and where that is gone it forgets
//! everything.
//!
//! *The promise.* Acknowledged means that the server has run the script. The node that
//! acknowledges keeps the promise of a single node at once; a connected node from the moment it
//! receives the record. A node that has heard nothing for three seconds is cut off: it shares
//! nothing and answers only what is fresh, so it may answer with purged bytes for the ttl and no
//! longer (what is stale only where the upstream fails, too).
//!
//! - `bus`: what is asked of the server, as small traits; `redis`: the real one; `twin`: one
//!   in the same process, for tests.
//! - `link`: a node's tie to the stream; `members`: who else is there; `outbox`: purges that the
//!   others have not heard of yet; `standing`: what everybody here is told of it.
//! - `second_level`: what one has fetched, for all; `value`: as bytes.
//! - `quotas`: what callers and the upstream's budget may spend, counted once for all.

mod bus;
#[cfg(test)]
mod conformance;
mod link;
mod members;
mod outbox;
mod quotas;
mod redis;
mod second_level;
#[cfg(test)]
mod simulation;
mod standing;
#[cfg(test)]
mod twin;
mod value;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

pub use redis::{InvalidRedisUrl, RedisUrl};
pub use second_level::{FillLimits, Permit, SecondLevelOutcome, Seen, SharedResponse};
pub use standing::ClusterState;
pub use value::Value;

use bytes::Bytes;
use tokio::sync::watch;

use crate::cache::{FreshnessSettings, Kind};
use crate::clock::Clock;
use crate::file_id::FileId;
use crate::invalidation::{Bus, LocalInvalidator};
use crate::limit::Desk;
use bus::NodeId;
use link::Link;
use redis::RedisServer;
use second_level::SecondLevel;
use standing::Standing;

/// Target of the events that say that something is another way than before.
const STATE_CHANGE: &str = "ikgate.state_change";

/// Where the fleet meets.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClusterSettings {
    pub url: RedisUrl,
    /// Before the name of every key there.
    pub namespace: String,
    pub limits: FillLimits,
}

/// This gateway as one of several.
pub struct Cluster {
    link: Arc<Link<RedisServer>>,
    second_level: SecondLevel<RedisServer>,
    server: Arc<RedisServer>,
    desk: Arc<Desk>,
    standing: Arc<Standing>,
    clock: Clock,
}

/// How it stands, for those who watch.
#[derive(Clone, Copy, Debug)]
pub struct ClusterReadings {
    pub state: ClusterState,
    /// That were there when the stream was last heard, this one included.
    pub nodes: usize,
    /// From telling something to hearing it.
    pub lag: Duration,
    /// The server's clock less our own, in seconds.
    pub clock_skew: f64,
    /// Purges that the others have not heard of yet.
    pub pending_purges: usize,
    /// How often something may have been missed, so that everything here was purged.
    pub resets: u64,
}

impl Cluster {
    pub fn new(
        settings: &ClusterSettings,
        local: LocalInvalidator,
        desk: Arc<Desk>,
        clock: &Clock,
    ) -> Arc<Self> {
        let node = NodeId::random();
        let server = Arc::new(RedisServer::new(&settings.url, &settings.namespace, node));
        let standing = Arc::new(Standing::new());
        let link =
            Link::new(Arc::clone(&server), node, Arc::clone(&standing), local, clock.clone());
        let link = Arc::new(link);
        let second_level = SecondLevel::new(
            Arc::clone(&server),
            Arc::clone(&standing),
            Arc::clone(&link.outbox),
            clock.clone(),
            settings.limits,
        );
        Arc::new(Self { link, second_level, server, desk, standing, clock: clock.clone() })
    }

    /// How the others hear of a purge.
    pub fn bus(&self) -> Arc<dyn Bus> {
        Arc::clone(&self.link) as _
    }

    /// Keeps this node one of the fleet. Never ends by itself.
    pub async fn run(self: Arc<Self>) {
        let (server, desk) = (Arc::clone(&self.server), Arc::clone(&self.desk));
        let (standing, clock) = (Arc::clone(&self.standing), self.clock.clone());
        tokio::join!(self.link.keep(), quotas::keep(server, desk, standing, clock));
    }

    /// How many gateways there are, as last heard; whenever that is another number.
    pub fn nodes(&self) -> watch::Receiver<NonZeroU32> {
        self.standing.watch_nodes()
    }

    /// Tells the others that this node ends.
    pub async fn leave(&self) {
        self.link.leave().await;
    }

    /// Looks for what another gateway has fetched; while one does, waits a little.
    pub async fn find(&self, file: &FileId, rules: &FreshnessSettings) -> Seen {
        self.second_level.find(file, rules).await
    }

    /// Gives what was fetched to the others, fresh for `ttl`.
    pub async fn keep(
        &self,
        file: &FileId,
        permit: Permit,
        what: (Kind, Bytes),
        ttl: Duration,
        rules: &FreshnessSettings,
    ) {
        self.second_level.keep(file, permit, what, ttl, rules).await;
    }

    /// Lets another gateway fetch: nothing came of it here.
    pub async fn release(&self, file: &FileId, permit: Permit) {
        self.second_level.release(file, permit).await;
    }

    pub fn state(&self) -> ClusterState {
        self.standing.state(self.clock.monotonic())
    }

    pub fn readings(&self) -> ClusterReadings {
        ClusterReadings {
            state: self.state(),
            nodes: usize::try_from(self.standing.nodes().get()).unwrap_or(usize::MAX),
            lag: self.standing.lag(),
            clock_skew: self.standing.skew(),
            pending_purges: self.link.outbox.len(),
            resets: self.standing.resets(),
        }
    }
}
