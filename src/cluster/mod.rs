//! Fleet of gateways over one Redis server: shared purges, a shared second-level cache, shared
//! quotas.
//!
//! A file that is purged on one gateway is purged on all. A file that one gateway has fetched need
//! not be fetched by the others. A caller's quota is counted once for the fleet.
//!
//! Redis keeps a stream of purges. A purge is one script on it; when the script has run, the purge
//! is acknowledged. Each node reads the stream in order and applies every record. A node that was
//! away replays the records it missed. If they are gone from the stream, it discards its whole
//! cache.
//!
//! *The promise.* Acknowledged means that Redis has run the script. From the acknowledgement on,
//! the node that gave it never serves what was purged. The same holds for every other connected
//! node once it has received the record. A node that received none for three seconds is cut off: it
//! shares nothing. It may serve purged bytes while they are fresh, and, if the upstream fails, while
//! they are stale.
//!
//! - `protocol`: what nodes and server exchange, as small traits; `redis`: their implementation.
//! - `node`: state of one node: its link to the stream, the second level, and the ledger client.
//! - `tests`: in-process double of Redis, and simulations with it.

mod node;
mod protocol;
mod redis;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

pub use node::{
    ClusterState, FillLimits, SecondLevelOutcome, SharedLookup, SharedResponse, SharedValue,
    StorePermit,
};
pub use redis::{InvalidRedisUrl, RedisUrl};

use tokio::sync::watch;

use crate::cache::FreshnessSettings;
use crate::clock::Clock;
use crate::file_id::FileId;
use crate::invalidation::{LocalInvalidator, PurgeBus};
use crate::limit::LeaseQueue;
use node::{Link, LinkHealth, SecondLevel, run_ledger_client};
use protocol::NodeId;
use redis::RedisServer;

/// Settings of the fleet: its Redis, and the limits of fills.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClusterSettings {
    /// Address and credentials of the Redis server.
    pub url: RedisUrl,
    /// Prefix of every key on the server.
    pub namespace: String,
    /// Limits of fills; they hold for responses from the second level as well.
    pub limits: FillLimits,
}

/// This gateway's membership in a fleet.
pub struct Cluster {
    link: Arc<Link<RedisServer>>,
    second_level: SecondLevel<RedisServer>,
    server: Arc<RedisServer>,
    lease_queue: Arc<LeaseQueue>,
    health: Arc<LinkHealth>,
    clock: Clock,
}

/// Status of the cluster for metrics and the admin listener.
#[derive(Clone, Copy, Debug)]
pub struct ClusterStatus {
    /// Whether the node receives the fleet's purges.
    pub state: ClusterState,
    /// Number of nodes when the stream was last read, this one included.
    pub nodes: usize,
    /// Time between sending a heartbeat and reading it from the stream.
    pub lag: Duration,
    /// Clock of the server minus the gateway's clock, in seconds.
    pub clock_skew: f64,
    /// Number of purges that wait to be published.
    pub pending_purges: usize,
    /// Number of resets: the node may have missed a record, so it purged its whole cache.
    pub resets: u64,
}

impl Cluster {
    /// Returns a member that connects when [`Self::run`] is called.
    pub fn new(
        settings: &ClusterSettings,
        local: LocalInvalidator,
        lease_queue: Arc<LeaseQueue>,
        clock: &Clock,
    ) -> Arc<Self> {
        let node = NodeId::random();
        let server = Arc::new(RedisServer::new(&settings.url, &settings.namespace, node));
        let health = Arc::new(LinkHealth::new());
        let link = Link::new(Arc::clone(&server), node, Arc::clone(&health), local, clock.clone());
        let link = Arc::new(link);
        let second_level = SecondLevel::new(
            Arc::clone(&server),
            Arc::clone(&health),
            Arc::clone(&link.outbox),
            clock.clone(),
            settings.limits,
        );
        Arc::new(Self { link, second_level, server, lease_queue, health, clock: clock.clone() })
    }

    /// Returns the bus that publishes purges to the fleet.
    pub fn bus(&self) -> Arc<dyn PurgeBus> {
        Arc::clone(&self.link) as _
    }

    /// Keeps this node in the fleet. Does not return.
    pub async fn run(self: Arc<Self>) {
        let (server, lease_queue) = (Arc::clone(&self.server), Arc::clone(&self.lease_queue));
        let (health, clock) = (Arc::clone(&self.health), self.clock.clone());
        tokio::join!(self.link.run(), run_ledger_client(server, lease_queue, health, clock));
    }

    /// Returns a watch of the number of gateways in the fleet. It changes when that number does.
    pub fn nodes(&self) -> watch::Receiver<NonZeroU32> {
        self.health.watch_nodes()
    }

    /// Publishes the pending purges, and announces to the fleet that this node ends.
    pub async fn leave(&self) {
        self.link.leave().await;
    }

    /// Looks up a response in the second level. While another gateway fetches it, waits at most a
    /// second.
    pub async fn find(&self, file: &FileId, rules: &FreshnessSettings) -> SharedLookup {
        self.second_level.find(file, rules).await
    }

    /// Stores a fetched response for the fleet.
    pub async fn keep(
        &self,
        file: &FileId,
        permit: StorePermit,
        response: SharedResponse,
        rules: &FreshnessSettings,
    ) {
        self.second_level.keep(file, permit, response, rules).await;
    }

    /// Gives the fill lease back, so that another gateway may fetch. The fill here produced nothing
    /// to store.
    pub async fn release(&self, file: &FileId, permit: StorePermit) {
        self.second_level.release(file, permit).await;
    }

    /// Returns whether the node receives the fleet's purges.
    pub fn state(&self) -> ClusterState {
        self.health.state(self.clock.monotonic())
    }

    /// Returns why the fleet's server cannot be used. `None`: it can.
    pub fn error(&self) -> Option<String> {
        self.health.error()
    }

    /// Returns the current status.
    pub fn status(&self) -> ClusterStatus {
        ClusterStatus {
            state: self.state(),
            nodes: usize::try_from(self.health.nodes().get()).unwrap_or(usize::MAX),
            lag: self.health.lag(),
            clock_skew: self.health.clock_skew(),
            pending_purges: self.link.outbox.len(),
            resets: self.health.resets(),
        }
    }
}

#[cfg(test)]
mod tests;
