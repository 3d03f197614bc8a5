//! Simulated gateway: the real cache, link and second level, with a slow upstream.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fastrand::Rng;
use parking_lot::Mutex;

use super::network::SimulatedConnection;
use crate::cache::{
    Cache, CacheSettings, FillEnd, FreshnessSettings, Join, Kind, Lookup, Origin, Reuse,
    StoredResponse,
};
use crate::clock::Clock;
use crate::cluster::node::{
    ClusterState, FillLimits, Link, LinkHealth, SecondLevel, SharedLookup, SharedResponse,
};
use crate::file_id::FileId;
use crate::invalidation::{Invalidator, LocalInvalidator};

type Fill = crate::cache::Fill<()>;

/// Newest version of each file, as the upstream has it.
pub(super) type UpstreamVersions = Arc<Mutex<Vec<u64>>>;

/// Timeout of a fill in a simulation.
pub(super) const FILL_TIMEOUT: Duration = Duration::from_secs(4);

/// Simulated gateway of the fleet.
pub(super) struct Node {
    pub(super) connection: Arc<SimulatedConnection>,
    pub(super) link: Arc<Link<SimulatedConnection>>,
    pub(super) invalidator: Invalidator,
    second_level: SecondLevel<SimulatedConnection>,
    health: Arc<LinkHealth>,
    cache: Arc<Cache<()>>,
    clock: Clock,
    versions: UpstreamVersions,
    /// Longest latency of the upstream.
    latency: Duration,
    rules: FreshnessSettings,
    rng: Mutex<Rng>,
}

pub(super) fn file_id(file: usize) -> FileId {
    FileId::parse(&format!("file{file}")).unwrap()
}

impl Node {
    pub(super) fn new(
        connection: SimulatedConnection,
        ttl: Duration,
        latency: Duration,
        versions: UpstreamVersions,
        rng: Rng,
    ) -> Arc<Self> {
        let (clock, connection) = (connection.clock.clone(), Arc::new(connection));
        let freshness = FreshnessSettings {
            ttl,
            ttl_jitter_percent: 10,
            stale_while_revalidate: Duration::from_mins(5),
            stale_if_error: Duration::from_hours(1),
            not_found_ttl: Duration::from_secs(10),
            settle: Duration::ZERO,
        };
        let (max_bytes, joinable_for) = (1 << 20, FILL_TIMEOUT);
        let cache = Cache::new(&CacheSettings { max_bytes, joinable_for, freshness });
        let local = LocalInvalidator::new(Arc::clone(&cache), clock.clone());
        let health = Arc::new(LinkHealth::new());
        let link = Link::new(
            Arc::clone(&connection),
            connection.node,
            Arc::clone(&health),
            local.clone(),
            clock.clone(),
        );
        let second_level = SecondLevel::new(
            Arc::clone(&connection),
            Arc::clone(&health),
            Arc::clone(&link.outbox),
            clock.clone(),
            FillLimits { body_max: 1 << 20, request_timeout: FILL_TIMEOUT },
        );
        let link = Arc::new(link);
        let invalidator = Invalidator::new(local, Some(Arc::clone(&link) as _));
        let rng = Mutex::new(rng);
        Arc::new(Self {
            connection,
            link,
            invalidator,
            second_level,
            health,
            cache,
            clock,
            versions,
            latency,
            rules: freshness,
            rng,
        })
    }

    pub(super) fn is_cut_off(&self) -> bool {
        self.health.state(self.clock.monotonic()) == ClusterState::CutOff
    }

    /// Returns the version that a caller gets, by the same steps as `gateway::versions`.
    pub(super) async fn read(self: &Arc<Self>, file: usize) -> Option<u64> {
        let (id, now) = (file_id(file), self.clock.monotonic());
        if let Lookup::Found { response, reuse } = self.cache.lookup(&id, now) {
            match reuse {
                Reuse::Fresh { .. } => return Some(version_of(&response)),
                Reuse::StaleWhileRevalidate { .. } if !self.is_cut_off() => {
                    if let Join::Leader(pending, _) = self.cache.join(&id, now) {
                        self.start(pending, file);
                    }
                    return Some(version_of(&response));
                }
                Reuse::StaleWhileRevalidate { .. } | Reuse::IfError | Reuse::Expired => {}
            }
        }
        let waiter = match self.cache.join(&id, self.clock.monotonic()) {
            Join::Hit { response, .. } => return Some(version_of(&response)),
            Join::Leader(pending, waiter) => {
                self.start(pending, file);
                waiter
            }
            Join::Follower(waiter) => waiter,
        };
        match waiter.wait().await {
            Some(FillEnd::Answered { response, .. }) => Some(version_of(&response)),
            Some(FillEnd::Failed(())) | None => None,
        }
    }

    fn start(self: &Arc<Self>, pending: Fill, file: usize) {
        let node = Arc::clone(self);
        tokio::spawn(
            async move { node.connection.suspension.run(node.complete(pending, file)).await },
        );
    }

    /// Completes a fill by the same steps as `gateway::fills`.
    async fn complete(&self, pending: Fill, file: usize) {
        let id = file_id(file);
        let permit = match self.second_level.find(&id, &self.rules).await {
            SharedLookup::Found(shared) => {
                let response = StoredResponse::new(shared.kind, shared.body, shared.as_of);
                pending.finish(Arc::new(response), Origin::SecondLevel { ttl: shared.ttl });
                return;
            }
            SharedLookup::Missing(permit) => permit,
        };
        let began = self.clock.monotonic();
        let body = self.fetch(file).await;
        let response = Arc::new(StoredResponse::new(Kind::List, body.clone(), began));
        let finished = pending.finish(response, Origin::Upstream);
        match (permit, finished.freshness()) {
            (Some(permit), Some(freshness)) => {
                let ttl = freshness.ttl();
                let shared = SharedResponse { kind: Kind::List, body, as_of: began, ttl };
                self.second_level.keep(&id, permit, shared, &self.rules).await;
            }
            (Some(permit), None) => self.second_level.release(&id, permit).await,
            (None, _) => {}
        }
    }

    async fn fetch(&self, file: usize) -> Bytes {
        let latency = || {
            let most = u64::try_from(self.latency.as_micros()).unwrap();
            Duration::from_micros(self.rng.lock().u64(100..most))
        };
        let (forth, back) = (latency(), latency());
        tokio::time::sleep(forth).await;
        let version = self.versions.lock()[file];
        tokio::time::sleep(back).await;
        Bytes::from(format!("[{version}]"))
    }
}

fn version_of(response: &StoredResponse) -> u64 {
    let text = std::str::from_utf8(&response.body).unwrap();
    text.trim_matches(['[', ']']).parse().unwrap()
}
