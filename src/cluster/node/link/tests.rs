//! Tests of a node's reaction to single records. Failures between nodes and server are tested in
//! `cluster::tests::simulation`.

use std::collections::VecDeque;

use bytes::Bytes;

use super::*;
use crate::cache::{
    Cache, CacheSettings, FreshnessSettings, Join, Kind, Lookup, Origin, PurgeMode, StoredResponse,
    Target,
};
use crate::cluster::node::link_health::ClusterState;
use crate::cluster::protocol::StreamPosition;
use crate::file_id::FileId;
use crate::invalidation::InvalidationSource;

fn at(epoch: &str, seq: u64) -> StreamPosition {
    StreamPosition { epoch: epoch.to_owned(), seq, id: format!("{seq}-0") }
}

fn record(seq: u64, kind: RecordKind) -> Record {
    Record { position: at("a", seq), node: NodeId(9), kind }
}

/// Server with scripted batches of records, read one after the other, and then nothing.
#[derive(Default)]
struct ScriptedStream {
    batches: Mutex<VecDeque<Vec<Record>>>,
    read_from: Mutex<Vec<String>>,
}

impl PurgeStream for ScriptedStream {
    async fn join(&self) -> Result<Joined, ServerFault> {
        Ok(Joined { end: at("a", 7), nodes: vec![NodeId(1), NodeId(2)] })
    }

    async fn read(&self, position: &StreamPosition) -> Result<Vec<Record>, ServerFault> {
        self.read_from.lock().push(position.id.clone());
        let batch = self.batches.lock().pop_front();
        if batch.is_none() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        Ok(batch.unwrap_or_default())
    }

    async fn append(&self, _kind: RecordKind) -> Result<Duration, ServerFault> {
        Ok(Duration::ZERO)
    }

    async fn purge(&self, _purge: &Purge) -> Result<RecordNumber, ServerFault> {
        Ok(RecordNumber { epoch: "before".to_owned(), seq: 7 })
    }
}

struct Node {
    link: Arc<Link<ScriptedStream>>,
    cache: Arc<Cache<()>>,
    clock: Clock,
}

fn file(name: &str) -> FileId {
    FileId::parse(name).unwrap()
}

impl Node {
    fn new(batches: impl IntoIterator<Item = Vec<Record>>) -> Self {
        let clock = Clock::system();
        let long = Duration::from_hours(1);
        let freshness = FreshnessSettings {
            ttl: long,
            ttl_jitter_percent: 0,
            stale_while_revalidate: long,
            stale_if_error: long,
            not_found_ttl: long,
            settle: Duration::ZERO,
        };
        let (max_bytes, joinable_for) = (1 << 20, Duration::from_secs(10));
        let cache = Cache::new(&CacheSettings { max_bytes, joinable_for, freshness });
        let server = ScriptedStream {
            batches: Mutex::new(batches.into_iter().collect()),
            ..Default::default()
        };
        let local = LocalInvalidator::new(Arc::clone(&cache), clock.clone());
        let health = Arc::new(LinkHealth::new());
        let link = Link::new(Arc::new(server), NodeId(1), health, local, clock.clone());
        Self { link: Arc::new(link), cache, clock }
    }

    /// Returns a node that has joined and holds lists of the files `a` and `b`.
    async fn with_lists(batches: impl IntoIterator<Item = Vec<Record>>) -> Self {
        let node = Self::new(batches);
        let joined = node.link.server.join().await.unwrap();
        node.link.state.lock().resume(joined);
        for name in ["a", "b"] {
            let now = node.clock.monotonic();
            let Join::Leader(fill, _waiter) = node.cache.join(&file(name), now) else { panic!() };
            let list = StoredResponse::new(Kind::List, Bytes::from_static(b"[]"), now);
            assert!(fill.finish(Arc::new(list), Origin::Upstream).is_kept());
        }
        node
    }

    /// Reads until no batch is left and the stream counts as silent.
    async fn read(&self) -> ServerFault {
        self.link.read().await
    }

    fn has(&self, name: &str) -> bool {
        matches!(self.cache.lookup(&file(name), self.clock.monotonic()), Lookup::Found { .. })
    }
}

fn purge(name: &str) -> RecordKind {
    let (target, source) = (Target::File(file(name)), InvalidationSource::Admin);
    RecordKind::Purge(Purge { target, mode: PurgeMode::Hard, source })
}

#[tokio::test(start_paused = true)]
async fn a_purge_removes_its_file_and_an_applied_purge_nothing() {
    let node = Node::with_lists([vec![record(7, purge("b")), record(8, purge("a"))]]).await;
    node.read().await;
    assert_eq!((node.has("a"), node.has("b")), (false, true));
}

#[tokio::test(start_paused = true)]
async fn a_gap_in_the_records_purges_everything() {
    let node = Node::with_lists([vec![record(9, RecordKind::Leave)]]).await;
    node.read().await;
    assert_eq!((node.has("a"), node.has("b")), (false, false));
    assert_eq!(node.link.health.resets(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_unknown_record_purges_everything_and_the_next_is_applied() {
    let batch = vec![record(8, RecordKind::Unknown), record(9, RecordKind::Leave)];
    let node = Node::with_lists([batch]).await;
    node.read().await;
    assert_eq!((node.has("a"), node.has("b")), (false, false));
    assert_eq!(node.link.state.lock().position(), Some(&at("a", 9)));
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_no_node_wrote_is_skipped() {
    let stray = Record {
        position: StreamPosition { id: "8-5".to_owned(), ..at("", 0) },
        ..record(0, RecordKind::Stray)
    };
    let node = Node::with_lists([vec![stray], vec![record(8, RecordKind::Leave)]]).await;
    node.read().await;
    assert_eq!((node.has("a"), node.has("b")), (true, true));
    assert_eq!(node.link.server.read_from.lock()[..2], ["7-0", "8-5"]);
}

#[tokio::test(start_paused = true)]
async fn a_silent_stream_ends_the_session() {
    let node = Node::with_lists([]).await;
    let began = node.clock.monotonic();
    assert!(matches!(node.read().await, ServerFault::Silent));
    let waited = node.clock.monotonic().saturating_sub(began);
    assert!((CUT_OFF_AFTER..CUT_OFF_AFTER * 2).contains(&waited), "{waited:?}");
    assert_eq!(node.link.health.state(node.clock.monotonic()), ClusterState::CutOff);
}

/// A batch of maximum length may be followed by more records.
#[tokio::test(start_paused = true)]
async fn a_full_batch_is_not_the_end_of_the_stream() {
    let heartbeats = |count: usize| {
        let heartbeat = |seq| record(seq, RecordKind::Heartbeat { sent: Duration::ZERO });
        (8..).take(count).map(heartbeat).collect::<Vec<_>>()
    };
    for (count, expected) in
        [(READ_BATCH_MAX, ClusterState::CutOff), (READ_BATCH_MAX - 1, ClusterState::Connected)]
    {
        let node = Node::with_lists([heartbeats(count)]).await;
        let began = node.clock.monotonic();
        node.read().await;
        assert_eq!(node.link.health.state(began), expected, "{count}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_purge_that_a_replaced_server_took_is_published_again() {
    let node = Node::with_lists([]).await;
    let (target, source) = (Target::All, InvalidationSource::Admin);
    let purge = Purge { target, mode: PurgeMode::Hard, source };
    assert!(matches!(node.link.publish_purge(&purge).await, Err(ServerFault::Replaced)));
    assert_eq!(node.link.outbox.first().unwrap().purge, purge);
}

#[tokio::test(start_paused = true)]
async fn nodes_with_a_recent_record_are_counted_at_once() {
    let node =
        Node::with_lists([vec![record(8, RecordKind::Heartbeat { sent: Duration::ZERO })]]).await;
    assert_eq!(node.link.health.nodes().get(), 2);
    node.read().await;
    assert_eq!(node.link.health.nodes().get(), 3);
}
