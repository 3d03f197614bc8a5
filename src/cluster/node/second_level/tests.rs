//! Tests of sharing: which responses, and for how long. The promise itself is tested in
//! `cluster::tests::simulation`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;

use super::*;
use crate::cache::{PurgeMode, Target};
use crate::cluster::node::link_health::CUT_OFF_AFTER;
use crate::cluster::protocol::{NodeId, ServerFault};
use crate::cluster::tests::in_memory_bus::{DisabledRule, InMemoryBus};
use crate::invalidation::{InvalidationSource, Purge};

const RULES: FreshnessSettings = FreshnessSettings {
    ttl: Duration::from_mins(1),
    ttl_jitter_percent: 0,
    stale_while_revalidate: Duration::ZERO,
    stale_if_error: Duration::ZERO,
    not_found_ttl: Duration::from_secs(10),
    settle: Duration::from_secs(2),
};

/// In-process double with no network between, or one that never responds.
struct DirectConnection {
    bus: Mutex<InMemoryBus>,
    clock: Clock,
    lookups: AtomicUsize,
    silent: Mutex<bool>,
}

impl SharedValues for DirectConnection {
    async fn look_up(&self, file: &FileId, token: LeaseToken) -> Result<LookupReply, ServerFault> {
        self.lookups.fetch_add(1, Ordering::Relaxed);
        if *self.silent.lock() {
            std::future::pending::<()>().await;
        }
        let reply = self.bus.lock().look_up(file, token, self.clock.monotonic());
        reply.ok_or(ServerFault::Unreadable("no node has joined"))
    }

    async fn keep(
        &self,
        file: &FileId,
        snapshot: &FenceSnapshot,
        token: LeaseToken,
        value: Bytes,
        ttl: Duration,
    ) -> Result<bool, ServerFault> {
        let now = self.clock.monotonic();
        Ok(self.bus.lock().keep(file, snapshot, token, (value, ttl), now))
    }

    async fn release(&self, file: &FileId, token: LeaseToken) -> Result<(), ServerFault> {
        self.bus.lock().release(file, token, self.clock.monotonic());
        Ok(())
    }
}

/// One node, and the server that it shares with others.
struct Node {
    level: SecondLevel<DirectConnection>,
    server: Arc<DirectConnection>,
    health: Arc<LinkHealth>,
    outbox: Arc<Outbox>,
    clock: Clock,
}

fn file() -> FileId {
    FileId::parse("a").unwrap()
}

impl Node {
    fn alone() -> Self {
        let clock = Clock::system();
        let mut bus = InMemoryBus::new(DisabledRule::None);
        bus.join("epoch");
        let (bus, silent) = (Mutex::new(bus), Mutex::new(false));
        Self::of(Arc::new(DirectConnection { bus, clock, lookups: AtomicUsize::new(0), silent }))
    }

    fn of(server: Arc<DirectConnection>) -> Self {
        let (health, outbox) = (Arc::new(LinkHealth::new()), Arc::<Outbox>::default());
        let clock = server.clock.clone();
        health.set_read_until(clock.monotonic());
        let level = SecondLevel::new(
            Arc::clone(&server),
            Arc::clone(&health),
            Arc::clone(&outbox),
            clock.clone(),
            FillLimits { body_max: 1000, request_timeout: SECOND * 10 },
        );
        Self { level, server, health, outbox, clock }
    }

    async fn find(&self) -> SharedLookup {
        self.level.find(&file(), &RULES).await
    }

    async fn permit(&self) -> StorePermit {
        match self.find().await {
            SharedLookup::Missing(Some(permit)) => permit,
            SharedLookup::Missing(None) => panic!("it did not look up"),
            SharedLookup::Found(shared) => panic!("{shared:?} is there"),
        }
    }

    async fn shared(&self) -> Option<SharedResponse> {
        match self.find().await {
            SharedLookup::Found(shared) => Some(shared),
            SharedLookup::Missing(_) => None,
        }
    }

    async fn keep(&self, permit: StorePermit, kind: Kind, ttl: Duration) {
        self.keep_aged(permit, kind, ttl, Duration::ZERO).await;
    }

    /// Keeps a response that has this age when it arrives.
    async fn keep_aged(&self, permit: StorePermit, kind: Kind, ttl: Duration, age: Duration) {
        let body = Bytes::from_static(b"[]");
        let as_of = self.clock.monotonic().saturating_sub(age);
        self.level.keep(&file(), permit, SharedResponse { kind, body, as_of, ttl }, &RULES).await;
    }

    fn purge(&self) {
        let (target, source) = (Target::File(file()), InvalidationSource::Admin);
        let purge = Purge { target, mode: PurgeMode::Hard, source };
        self.server.bus.lock().purge(NodeId(9), &purge, "", self.clock.monotonic());
    }

    async fn wait(&self, time: Duration) {
        tokio::time::sleep(time).await;
        self.health.set_read_until(self.clock.monotonic());
    }
}

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_response_that_one_node_fetched_is_found_by_others_with_its_age() {
    let (node, began) = (Node::alone(), Clock::system());
    let other = Node::of(Arc::clone(&node.server));
    let looked_up = node.clock.monotonic();
    let permit = node.permit().await;
    node.keep(permit, Kind::List, SECOND * 54).await;
    other.wait(SECOND * 53).await;
    let shared = other.shared().await.unwrap();
    assert_eq!((shared.kind, &shared.body[..]), (Kind::List, &b"[]"[..]));
    assert_eq!((shared.as_of, shared.ttl), (looked_up, SECOND * 54));
    other.wait(SECOND).await;
    assert!(other.shared().await.is_none(), "after {:?}", began.uptime());
}

/// RFC 9111 section 4.2.3: the age that a cache in front of the upstream states counts, too.
#[tokio::test(start_paused = true)]
async fn a_response_that_was_old_when_it_was_fetched_is_that_old_for_others() {
    let node = Node::alone();
    let other = Node::of(Arc::clone(&node.server));
    let looked_up = node.clock.monotonic();
    let permit = node.permit().await;
    node.keep_aged(permit, Kind::List, SECOND * 54, SECOND * 50).await;
    let shared = other.shared().await.unwrap();
    assert_eq!((shared.as_of, shared.ttl), (looked_up.saturating_sub(SECOND * 50), SECOND * 54));
    other.wait(SECOND * 4).await;
    let permit = other.permit().await;
    other.keep_aged(permit, Kind::List, SECOND * 54, SECOND * 70).await;
    assert!(node.shared().await.is_none(), "it was stale from the beginning");
}

#[tokio::test(start_paused = true)]
async fn a_response_that_is_not_fresh_on_this_node_is_not_found() {
    let node = Node::alone();
    let permit = node.permit().await;
    node.keep(permit, Kind::NotFound, SECOND * 60).await;
    node.wait(SECOND * 9).await;
    assert!(node.shared().await.is_some());
    node.wait(SECOND * 2).await;
    assert!(node.shared().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_response_fetched_soon_after_a_purge_is_shared_for_the_settle_time() {
    let node = Node::alone();
    node.purge();
    node.wait(SECOND).await;
    let permit = node.permit().await;
    node.keep(permit, Kind::List, SECOND * 60).await;
    assert_eq!(node.shared().await.unwrap().ttl, RULES.settle);
    node.wait(RULES.settle).await;
    let permit = node.permit().await;
    node.keep(permit, Kind::List, SECOND * 60).await;
    assert_eq!(node.shared().await.unwrap().ttl, SECOND * 60);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_cut_off_or_has_pending_purges_shares_nothing() {
    let node = Node::alone();
    let permit = node.permit().await;
    node.keep(permit, Kind::List, SECOND * 60).await;
    let (target, source) = (Target::All, InvalidationSource::Admin);
    let purge = Purge { target, mode: PurgeMode::Hard, source };
    node.outbox.push(purge);
    assert!(matches!(node.find().await, SharedLookup::Missing(None)));
    node.outbox.remove_published(&node.outbox.first().unwrap());
    assert!(node.shared().await.is_some());
    tokio::time::sleep(CUT_OFF_AFTER + SECOND).await;
    assert!(matches!(node.find().await, SharedLookup::Missing(None)));
}

#[tokio::test(start_paused = true)]
async fn a_silent_server_opens_the_breaker_after_five_timeouts() {
    let node = Node::alone();
    *node.server.silent.lock() = true;
    let began = node.clock.monotonic();
    for _ in 0..50 {
        assert!(matches!(node.find().await, SharedLookup::Missing(None)));
    }
    assert_eq!(node.server.lookups.load(Ordering::Relaxed), 5);
    assert_eq!(node.clock.monotonic().saturating_sub(began), Duration::from_millis(5 * 20));
    *node.server.silent.lock() = false;
    node.wait(SECOND).await;
    node.permit().await;
}

#[tokio::test(start_paused = true)]
async fn while_one_node_fetches_the_others_wait_for_a_second_at_most() {
    let node = Node::alone();
    let other = Node::of(Arc::clone(&node.server));
    let permit = node.permit().await;
    let (found, ()) = tokio::join!(other.shared(), async {
        tokio::time::sleep(SECOND / 2).await;
        node.keep(permit, Kind::List, SECOND * 60).await;
    });
    assert!(found.is_some());

    node.purge();
    let lost = node.permit().await;
    let began = node.clock.monotonic();
    let own = other.permit().await;
    let waited = node.clock.monotonic().saturating_sub(began);
    assert!((SECOND..SECOND + POLL_MAX * 2).contains(&waited), "{waited:?}");
    other.keep(own, Kind::List, SECOND * 60).await;
    assert!(other.shared().await.is_some());
    // A node that releases its lease without a value lets the next one fetch at once.
    node.purge();
    node.level.release(&file(), lost).await;
    let permit = node.permit().await;
    node.level.release(&file(), permit).await;
    let began = node.clock.monotonic();
    other.permit().await;
    assert_eq!(node.clock.monotonic(), began);
}
