//! Tests of a node's reaction to single records. Failures between nodes and server are tested in
//! `simulation`.

use std::collections::VecDeque;

use bytes::Bytes;

use super::*;
use crate::cache::{
    Cache, CacheSettings, FreshnessSettings, Join, Kind, Lookup, Origin, StoredResponse,
};
use crate::cluster::standing::ClusterState;
use crate::file_id::FileId;

fn at(epoch: &str, seq: u64) -> Position {
    Position { epoch: epoch.to_owned(), seq, id: format!("{seq}-0") }
}

fn record(seq: u64, what: What) -> Record {
    Record { position: at("a", seq), node: NodeId(9), what }
}

#[test]
fn a_record_follows_or_is_known_or_skips_some() {
    let own = at("a", 7);
    for (record, expected) in [
        (at("a", 6), Next::Known),
        (at("a", 7), Next::Known),
        (at("a", 8), Next::Follows),
        (at("a", 9), Next::Skips),
        (at("b", 8), Next::Skips),
        (at("b", 1), Next::Skips),
    ] {
        assert_eq!(own.next(&record), expected, "{record:?}");
    }
}

/// Server with scripted batches of records, read one after the other, and then nothing.
#[derive(Default)]
struct Scripted {
    batches: Mutex<VecDeque<Vec<Record>>>,
    asked: Mutex<Vec<String>>,
}

impl Stream for Scripted {
    async fn join(&self) -> Result<Joined, ServerFault> {
        Ok(Joined { stands: at("a", 7), nodes: vec![NodeId(1), NodeId(2)] })
    }

    async fn read(&self, position: &Position) -> Result<Vec<Record>, ServerFault> {
        self.asked.lock().push(position.id.clone());
        let batch = self.batches.lock().pop_front();
        if batch.is_none() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        Ok(batch.unwrap_or_default())
    }

    async fn tell(&self, _what: What) -> Result<Duration, ServerFault> {
        Ok(Duration::ZERO)
    }

    async fn purge(&self, _purge: &Purge) -> Result<Taken, ServerFault> {
        Ok(Taken { epoch: "before".to_owned(), seq: 7 })
    }
}

struct Node {
    link: Arc<Link<Scripted>>,
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
        let (max_bytes, fill_timeout) = (1 << 20, Duration::from_secs(10));
        let cache = Cache::new(&CacheSettings { max_bytes, fill_timeout, freshness });
        let server =
            Scripted { batches: Mutex::new(batches.into_iter().collect()), ..Default::default() };
        let local = LocalInvalidator::new(Arc::clone(&cache), clock.clone());
        let standing = Arc::new(Standing::new());
        let link = Link::new(Arc::new(server), NodeId(1), standing, local, clock.clone());
        Self { link: Arc::new(link), cache, clock }
    }

    /// Returns a node that has joined and holds lists of the files `a` and `b`.
    async fn with_lists(batches: impl IntoIterator<Item = Vec<Record>>) -> Self {
        let node = Self::new(batches);
        node.link.resume(node.link.server.join().await.unwrap());
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

fn purge(name: &str) -> What {
    let (target, source) = (Target::File(file(name)), InvalidationSource::Admin);
    What::Purge(Purge { target, mode: PurgeMode::Hard, source })
}

#[tokio::test(start_paused = true)]
async fn a_purge_concerns_its_file_and_one_that_is_known_nobody() {
    let node = Node::with_lists([vec![record(7, purge("b")), record(8, purge("a"))]]).await;
    node.read().await;
    assert_eq!((node.has("a"), node.has("b")), (false, true));
}

#[tokio::test(start_paused = true)]
async fn what_is_missing_may_have_been_a_purge_of_anything() {
    let node = Node::with_lists([vec![record(9, What::Leave)]]).await;
    node.read().await;
    assert_eq!((node.has("a"), node.has("b")), (false, false));
    assert_eq!(node.link.standing.resets(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_record_of_a_later_version_may_be_a_purge_and_does_not_stop_what_follows() {
    let batch = vec![record(8, What::Unknown), record(9, What::Leave)];
    let node = Node::with_lists([batch]).await;
    node.read().await;
    assert_eq!((node.has("a"), node.has("b")), (false, false));
    assert_eq!(node.link.known.lock().position, Some(at("a", 9)));
}

#[tokio::test(start_paused = true)]
async fn what_no_node_wrote_is_passed_over() {
    let stray = Record {
        position: Position { id: "8-5".to_owned(), ..at("", 0) },
        ..record(0, What::Stray)
    };
    let node = Node::with_lists([vec![stray], vec![record(8, What::Leave)]]).await;
    node.read().await;
    assert_eq!((node.has("a"), node.has("b")), (true, true));
    assert_eq!(node.link.server.asked.lock()[..2], ["7-0", "8-5"]);
}

#[tokio::test(start_paused = true)]
async fn a_stream_in_which_nothing_comes_is_left() {
    let node = Node::with_lists([]).await;
    let began = node.clock.monotonic();
    assert!(matches!(node.read().await, ServerFault::Silent));
    let waited = node.clock.monotonic().saturating_sub(began);
    assert!((CUT_OFF_AFTER..CUT_OFF_AFTER * 2).contains(&waited), "{waited:?}");
    assert_eq!(node.link.standing.state(node.clock.monotonic()), ClusterState::CutOff);
}

/// A batch of maximum length may be followed by more records.
#[tokio::test(start_paused = true)]
async fn a_full_batch_is_not_the_end_of_the_stream() {
    let beats = |count: usize| {
        let beat = |seq| record(seq, What::Beat { sent: Duration::ZERO });
        (8..).take(count).map(beat).collect::<Vec<_>>()
    };
    for (count, expected) in
        [(BATCH_MAX, ClusterState::CutOff), (BATCH_MAX - 1, ClusterState::Connected)]
    {
        let node = Node::with_lists([beats(count)]).await;
        let began = node.clock.monotonic();
        node.read().await;
        assert_eq!(node.link.standing.state(began), expected, "{count}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_purge_that_went_to_a_server_of_before_is_told_again() {
    let node = Node::with_lists([]).await;
    let (target, source) = (Target::All, InvalidationSource::Admin);
    let purge = Purge { target, mode: PurgeMode::Hard, source };
    assert!(matches!(node.link.purge(&purge).await, Err(ServerFault::Replaced)));
    assert_eq!(node.link.outbox.first().unwrap().purge, purge);
}

#[tokio::test(start_paused = true)]
async fn whoever_was_there_a_moment_ago_is_counted_at_once() {
    let node = Node::with_lists([vec![record(8, What::Beat { sent: Duration::ZERO })]]).await;
    assert_eq!(node.link.standing.nodes().get(), 2);
    node.read().await;
    assert_eq!(node.link.standing.nodes().get(), 3);
}
