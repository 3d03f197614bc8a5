//! Simulated gateway: the real cache, link and second level, with a slow upstream.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fastrand::Rng;
use parking_lot::Mutex;

use super::Truth;
use super::network::Way;
use crate::cache::{
    Cache, CacheSettings, FillEnd, FreshnessSettings, Join, Kind, Lookup, Origin, Reuse,
    StoredResponse,
};
use crate::clock::Clock;
use crate::cluster::link::Link;
use crate::cluster::second_level::{FillLimits, SecondLevel, Seen};
use crate::cluster::standing::{ClusterState, Standing};
use crate::file_id::FileId;
use crate::invalidation::{Invalidator, LocalInvalidator};

type Fill = crate::cache::Fill<()>;

/// Timeout of a fill in a simulation.
pub(super) const FILL_TIMEOUT: Duration = Duration::from_secs(4);

pub(super) struct Node {
    pub(super) way: Arc<Way>,
    pub(super) link: Arc<Link<Way>>,
    pub(super) invalidator: Invalidator,
    second_level: SecondLevel<Way>,
    standing: Arc<Standing>,
    cache: Arc<Cache<()>>,
    clock: Clock,
    truth: Truth,
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
        way: Way,
        ttl: Duration,
        latency: Duration,
        truth: Truth,
        rng: Rng,
    ) -> Arc<Self> {
        let (clock, way) = (way.clock.clone(), Arc::new(way));
        let freshness = FreshnessSettings {
            ttl,
            ttl_jitter_percent: 10,
            stale_while_revalidate: Duration::from_mins(5),
            stale_if_error: Duration::from_hours(1),
            not_found_ttl: Duration::from_secs(10),
            settle: Duration::ZERO,
        };
        let (max_bytes, fill_timeout) = (1 << 20, FILL_TIMEOUT);
        let cache = Cache::new(&CacheSettings { max_bytes, fill_timeout, freshness });
        let local = LocalInvalidator::new(Arc::clone(&cache), clock.clone());
        let standing = Arc::new(Standing::new());
        let link = Link::new(
            Arc::clone(&way),
            way.node,
            Arc::clone(&standing),
            local.clone(),
            clock.clone(),
        );
        let second_level = SecondLevel::new(
            Arc::clone(&way),
            Arc::clone(&standing),
            Arc::clone(&link.outbox),
            clock.clone(),
            FillLimits { body_max: 1 << 20, fill_timeout: FILL_TIMEOUT },
        );
        let link = Arc::new(link);
        let invalidator = Invalidator::new(local, Some(Arc::clone(&link) as _));
        let rng = Mutex::new(rng);
        Arc::new(Self {
            way,
            link,
            invalidator,
            second_level,
            standing,
            cache,
            clock,
            truth,
            latency,
            rules: freshness,
            rng,
        })
    }

    pub(super) fn is_cut_off(&self) -> bool {
        self.standing.state(self.clock.monotonic()) == ClusterState::CutOff
    }

    /// Returns the version that a caller gets, by the same steps as `gateway::versions`.
    pub(super) async fn read(self: &Arc<Self>, file: usize) -> Option<u64> {
        let (id, now) = (file_id(file), self.clock.monotonic());
        if let Lookup::Found { response, reuse } = self.cache.lookup(&id, now) {
            match reuse {
                Reuse::Fresh { .. } => return Some(version_of(&response)),
                Reuse::Revalidate { .. } if !self.is_cut_off() => {
                    if let Join::Leader(ticket, _) = self.cache.join(&id, now) {
                        self.start(ticket, file);
                    }
                    return Some(version_of(&response));
                }
                Reuse::Revalidate { .. } | Reuse::IfError | Reuse::Expired => {}
            }
        }
        let waiter = match self.cache.join(&id, self.clock.monotonic()) {
            Join::Hit { response, .. } => return Some(version_of(&response)),
            Join::Leader(ticket, waiter) => {
                self.start(ticket, file);
                waiter
            }
            Join::Follower(waiter) => waiter,
        };
        match waiter.wait().await {
            Some(FillEnd::Answered { response, .. }) => Some(version_of(&response)),
            Some(FillEnd::Failed(())) | None => None,
        }
    }

    fn start(self: &Arc<Self>, ticket: Fill, file: usize) {
        let node = Arc::clone(self);
        tokio::spawn(async move { node.way.sleeper.run(node.redeem(ticket, file)).await });
    }

    /// Completes a fill by the same steps as `gateway::fills`.
    async fn redeem(&self, ticket: Fill, file: usize) {
        let id = file_id(file);
        let permit = match self.second_level.find(&id, &self.rules).await {
            Seen::Shared(shared) => {
                let response = StoredResponse::new(shared.kind, shared.body, shared.as_of);
                ticket.finish(Arc::new(response), Origin::SecondLevel { ttl: shared.ttl });
                return;
            }
            Seen::Nothing(permit) => permit,
        };
        let asked = self.clock.monotonic();
        let body = self.ask_upstream(file).await;
        let response = Arc::new(StoredResponse::new(Kind::List, body.clone(), asked));
        let finished = ticket.finish(response, Origin::Upstream);
        match (permit, finished.freshness()) {
            (Some(permit), Some(freshness)) => {
                self.second_level
                    .keep(&id, permit, (Kind::List, body), freshness.ttl(), &self.rules)
                    .await;
            }
            (Some(permit), None) => self.second_level.release(&id, permit).await,
            (None, _) => {}
        }
    }

    async fn ask_upstream(&self, file: usize) -> Bytes {
        let way = || {
            let most = u64::try_from(self.latency.as_micros()).unwrap();
            Duration::from_micros(self.rng.lock().u64(100..most))
        };
        let (there, back) = (way(), way());
        tokio::time::sleep(there).await;
        let version = self.truth.lock()[file];
        tokio::time::sleep(back).await;
        Bytes::from(format!("[{version}]"))
    }
}

fn version_of(response: &StoredResponse) -> u64 {
    let text = std::str::from_utf8(&response.body).unwrap();
    text.trim_matches(['[', ']']).parse().unwrap()
}
