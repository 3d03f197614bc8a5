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
//! *The promise.* Acknowledged means that Redis has run the script. The node that acknowledges
//! keeps the promise of a single node at once. A connected node keeps it from the moment it
//! receives the record. A node without a record for three seconds is cut off: it shares nothing and
//! serves only fresh responses. So it may serve purged bytes for the ttl and no longer; it serves
//! stale ones only where the upstream fails, too.
//!
//! - `bus`: interface of the server, as small traits; `redis`: the implementation; `twin`: an
//!   in-process double for tests.
//! - `link`: connection of a node to the stream; `members`: nodes of the fleet; `outbox`: purges
//!   that wait to be published; `standing`: health of the connection, for the rest of the gateway.
//! - `second_level`: cache that the fleet shares; `value`: encoding of its entries.
//! - `quotas`: quotas of callers and the budget of upstream calls, counted once for the fleet.

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
use crate::invalidation::{LocalInvalidator, PurgeBus};
use crate::limit::LeaseQueue;
use bus::NodeId;
use link::Link;
use redis::RedisServer;
use second_level::SecondLevel;
use standing::Standing;

/// Target of events that report a change of state.
const STATE_CHANGE: &str = "ikgate.state_change";

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
    standing: Arc<Standing>,
    clock: Clock,
}

/// Readings of the cluster for metrics and the admin listener.
#[derive(Clone, Copy, Debug)]
pub struct ClusterReadings {
    /// Whether the node hears of the fleet's purges.
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
        Arc::new(Self { link, second_level, server, lease_queue, standing, clock: clock.clone() })
    }

    /// Returns the bus that publishes purges to the fleet.
    pub fn bus(&self) -> Arc<dyn PurgeBus> {
        Arc::clone(&self.link) as _
    }

    /// Keeps this node in the fleet. Does not return.
    pub async fn run(self: Arc<Self>) {
        let (server, lease_queue) = (Arc::clone(&self.server), Arc::clone(&self.lease_queue));
        let (standing, clock) = (Arc::clone(&self.standing), self.clock.clone());
        tokio::join!(self.link.keep(), quotas::run(server, lease_queue, standing, clock));
    }

    /// Returns a watch of the number of gateways in the fleet. It changes when that number does.
    pub fn nodes(&self) -> watch::Receiver<NonZeroU32> {
        self.standing.watch_nodes()
    }

    /// Publishes the pending purges, and tells the fleet that this node ends.
    pub async fn leave(&self) {
        self.link.leave().await;
    }

    /// Looks up a response in the second level. While another gateway fetches it, waits at most a
    /// second.
    pub async fn find(&self, file: &FileId, rules: &FreshnessSettings) -> Seen {
        self.second_level.find(file, rules).await
    }

    /// Stores a fetched response for the fleet, fresh for at most `ttl`.
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

    /// Gives the fill lease back, so that another gateway may fetch. The fill here produced nothing
    /// to store.
    pub async fn release(&self, file: &FileId, permit: Permit) {
        self.second_level.release(file, permit).await;
    }

    /// Returns whether the node hears of the fleet's purges.
    pub fn state(&self) -> ClusterState {
        self.standing.state(self.clock.monotonic())
    }

    /// Returns the current readings.
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
