//! Tests of sharing: which responses, and for how long. The promise itself is tested in
//! `simulation`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;

use super::*;
use crate::cache::{PurgeMode, Target};
use crate::cluster::bus::{NodeId, ServerFault};
use crate::cluster::standing::CUT_OFF_AFTER;
use crate::cluster::twin::{Twin, Without};
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
struct Direct {
    twin: Mutex<Twin>,
    clock: Clock,
    looks: AtomicUsize,
    silent: Mutex<bool>,
}

impl Values for Direct {
    async fn look(&self, file: &FileId, token: Token) -> Result<Look, ServerFault> {
        self.looks.fetch_add(1, Ordering::Relaxed);
        if *self.silent.lock() {
            std::future::pending::<()>().await;
        }
        let look = self.twin.lock().look(file, token, self.clock.monotonic());
        look.ok_or(ServerFault::Unreadable("no node has joined"))
    }

    async fn keep(
        &self,
        file: &FileId,
        ticket: &Ticket,
        token: Token,
        value: Bytes,
        ttl: Duration,
    ) -> Result<bool, ServerFault> {
        let now = self.clock.monotonic();
        Ok(self.twin.lock().keep(file, ticket, token, (value, ttl), now))
    }

    async fn release(&self, file: &FileId, token: Token) -> Result<(), ServerFault> {
        self.twin.lock().release(file, token, self.clock.monotonic());
        Ok(())
    }
}

/// One node, and the server that it shares with others.
struct Node {
    level: SecondLevel<Direct>,
    server: Arc<Direct>,
    standing: Arc<Standing>,
    outbox: Arc<Outbox>,
    clock: Clock,
}

fn file() -> FileId {
    FileId::parse("a").unwrap()
}

impl Node {
    fn alone() -> Self {
        let clock = Clock::system();
        let mut twin = Twin::new(Without::Nothing);
        twin.join("epoch");
        let (twin, silent) = (Mutex::new(twin), Mutex::new(false));
        Self::of(Arc::new(Direct { twin, clock, looks: AtomicUsize::new(0), silent }))
    }

    fn of(server: Arc<Direct>) -> Self {
        let (standing, outbox) = (Arc::new(Standing::new()), Arc::<Outbox>::default());
        let clock = server.clock.clone();
        standing.note_heard(clock.monotonic());
        let level = SecondLevel::new(
            Arc::clone(&server),
            Arc::clone(&standing),
            Arc::clone(&outbox),
            clock.clone(),
            FillLimits { body_max: 1000, fill_timeout: SECOND * 10 },
        );
        Self { level, server, standing, outbox, clock }
    }

    async fn find(&self) -> Seen {
        self.level.find(&file(), &RULES).await
    }

    async fn permit(&self) -> Permit {
        match self.find().await {
            Seen::Nothing(Some(permit)) => permit,
            Seen::Nothing(None) => panic!("it did not look"),
            Seen::Shared(shared) => panic!("{shared:?} is there"),
        }
    }

    async fn shared(&self) -> Option<SharedResponse> {
        match self.find().await {
            Seen::Shared(shared) => Some(shared),
            Seen::Nothing(_) => None,
        }
    }

    async fn keep(&self, permit: Permit, kind: Kind, ttl: Duration) {
        let body = Bytes::from_static(b"[]");
        self.level.keep(&file(), permit, (kind, body), ttl, &RULES).await;
    }

    fn purge(&self) {
        let (target, source) = (Target::File(file()), InvalidationSource::Admin);
        let purge = Purge { target, mode: PurgeMode::Hard, source };
        self.server.twin.lock().purge(NodeId(9), &purge, "", self.clock.monotonic());
    }

    async fn wait(&self, time: Duration) {
        tokio::time::sleep(time).await;
        self.standing.note_heard(self.clock.monotonic());
    }
}

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn what_one_fetched_the_others_have_with_its_age() {
    let (node, began) = (Node::alone(), Clock::system());
    let other = Node::of(Arc::clone(&node.server));
    let asked = node.clock.monotonic();
    let permit = node.permit().await;
    node.keep(permit, Kind::List, SECOND * 54).await;
    other.wait(SECOND * 53).await;
    let shared = other.shared().await.unwrap();
    assert_eq!((shared.kind, &shared.body[..]), (Kind::List, &b"[]"[..]));
    assert_eq!((shared.as_of, shared.ttl), (asked, SECOND * 54));
    other.wait(SECOND).await;
    assert!(other.shared().await.is_none(), "after {:?}", began.uptime());
}

#[tokio::test(start_paused = true)]
async fn what_would_not_be_fresh_here_is_not_taken() {
    let node = Node::alone();
    let permit = node.permit().await;
    node.keep(permit, Kind::NotFound, SECOND * 60).await;
    node.wait(SECOND * 9).await;
    assert!(node.shared().await.is_some());
    node.wait(SECOND * 2).await;
    assert!(node.shared().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn what_is_fetched_soon_after_a_purge_is_shared_for_as_long_as_it_settles() {
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
async fn who_may_have_missed_a_purge_or_has_one_to_tell_shares_nothing() {
    let node = Node::alone();
    let permit = node.permit().await;
    node.keep(permit, Kind::List, SECOND * 60).await;
    let (target, source) = (Target::All, InvalidationSource::Admin);
    let purge = Purge { target, mode: PurgeMode::Hard, source };
    node.outbox.push(purge);
    assert!(matches!(node.find().await, Seen::Nothing(None)));
    node.outbox.told(&node.outbox.first().unwrap());
    assert!(node.shared().await.is_some());
    tokio::time::sleep(CUT_OFF_AFTER + SECOND).await;
    assert!(matches!(node.find().await, Seen::Nothing(None)));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_answer_is_waited_for_briefly_and_then_left_alone() {
    let node = Node::alone();
    *node.server.silent.lock() = true;
    let began = node.clock.monotonic();
    for _ in 0..50 {
        assert!(matches!(node.find().await, Seen::Nothing(None)));
    }
    assert_eq!(node.server.looks.load(Ordering::Relaxed), 5);
    assert_eq!(node.clock.monotonic().saturating_sub(began), Duration::from_millis(5 * 20));
    *node.server.silent.lock() = false;
    node.wait(SECOND).await;
    node.permit().await;
}

#[tokio::test(start_paused = true)]
async fn while_one_fetches_the_others_wait_but_not_for_long() {
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
