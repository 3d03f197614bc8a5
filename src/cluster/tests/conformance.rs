//! Conformance tests: the in-process double and a real Redis respond alike to the same calls.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fastrand::Rng;

use super::in_memory_bus::{DisabledRule, InMemoryBus};
use crate::cache::{PurgeMode, Target};
use crate::cluster::protocol::{
    FenceSnapshot, LeaseToken, LookupResult, NodeId, PurgeStream as _, QuotaLedger as _, Record,
    RecordKind, ServerFault, SharedValues as _, StreamPosition,
};
use crate::cluster::redis::{RedisServer, RedisUrl};
use crate::file_id::FileId;
use crate::invalidation::{InvalidationSource, Purge};
use crate::limit::{Credit, InMemoryLedger, LeaseQueue, Quota, QuotaLease, SharedKey};

const NODE: NodeId = NodeId(7);

/// A redis-server process of the test. It is killed when this is dropped.
struct RedisProcess {
    child: Child,
    url: RedisUrl,
    _directory: tempfile::TempDir,
}

impl RedisProcess {
    fn start(options: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let child = Command::new("redis-server")
            .args(["--port", &free.port().to_string(), "--bind", "127.0.0.1", "--save", ""])
            .args(options)
            .current_dir(directory.path())
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server is needed (on Debian: package redis-server)");
        let url = RedisUrl::parse(&format!("redis://{free}")).unwrap();
        Self { child, url, _directory: directory }
    }

    /// Returns a node's connection, once the server responds.
    async fn joined(&self, node: NodeId) -> (RedisServer, StreamPosition) {
        let server = RedisServer::new(&self.url, "test", node);
        let joined = async {
            loop {
                match server.join().await {
                    Ok(joined) => return joined.end,
                    Err(ServerFault::Refused(unfit)) => panic!("{unfit}"),
                    Err(_) => tokio::task::yield_now().await,
                }
            }
        };
        let position = tokio::time::timeout(Duration::from_secs(20), joined).await;
        (server, position.expect("the server did not start"))
    }
}

impl Drop for RedisProcess {
    fn drop(&mut self) {
        // Kills our own child by its handle. It may have ended already.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

fn file(rng: &mut Rng) -> FileId {
    FileId::parse(&format!("file{}", rng.u8(..3))).unwrap()
}

fn purge(rng: &mut Rng) -> Purge {
    let target = if rng.u8(..8) == 0 { Target::All } else { Target::File(file(rng)) };
    let mode = PurgeMode::ALL[rng.usize(..2)];
    Purge { target, mode, source: InvalidationSource::Webhook }
}

/// Returns what both implementations must agree on: number, node and kind of each record.
fn contents(records: &[Record]) -> Vec<(u64, NodeId, RecordKind)> {
    records.iter().map(|record| (record.position.seq, record.node, record.kind)).collect()
}

/// Result of a lookup as text that is the same for both implementations.
fn text_of(result: &LookupResult) -> String {
    format!("{result:?}")
}

#[tokio::test]
async fn the_in_memory_bus_does_what_the_scripts_do() {
    let process = RedisProcess::start(&[]);
    let (server, mut real_end) = process.joined(NODE).await;
    let mut bus = InMemoryBus::new(DisabledRule::None);
    let mut bus_end = bus.join("in memory");
    assert_eq!((real_end.seq, bus_end.seq), (0, 0));
    let mut rng = Rng::with_seed(1);
    let mut snapshots: Vec<(FileId, LeaseToken, FenceSnapshot, FenceSnapshot)> = Vec::new();
    let mut now = Duration::from_secs(1_000_000);
    for step in 0..600 {
        now += Duration::from_millis(1);
        match rng.u8(..7) {
            0 => {
                let purge = purge(&mut rng);
                let real = server.purge(&purge).await.unwrap();
                let same = bus.purge(NODE, &purge, "", now);
                assert_eq!(real.seq, same.seq, "step {step}");
            }
            1 => {
                let heartbeat = RecordKind::Heartbeat { sent: Duration::from_nanos(rng.u64(..)) };
                server.append(heartbeat).await.unwrap();
                bus.append(NODE, heartbeat, "", now);
                let (real, same) = (server.read(&real_end).await.unwrap(), bus.read(&bus_end));
                assert_eq!(contents(&real), contents(&same), "step {step}");
                real_end = real.last().unwrap().position.clone();
                bus_end = same.last().unwrap().position.clone();
            }
            2 | 3 => {
                let (file, token) = (file(&mut rng), LeaseToken(rng.u64(..)));
                let real = server.look_up(&file, token).await.unwrap();
                let same = bus.look_up(&file, token, now).unwrap();
                assert_eq!(text_of(&real.result), text_of(&same.result), "step {step}");
                assert_eq!(real.snapshot.fence == "0", same.snapshot.fence == "0", "step {step}");
                snapshots.push((file, token, real.snapshot, same.snapshot));
            }
            4 | 5 if !snapshots.is_empty() => {
                let at = rng.usize(..snapshots.len());
                let (file, token, real, same) = snapshots.swap_remove(at);
                let (value, ttl) = (Bytes::from(format!("value {step}")), Duration::from_mins(1));
                let kept = server.keep(&file, &real, token, value.clone(), ttl).await.unwrap();
                assert_eq!(kept, bus.keep(&file, &same, token, (value, ttl), now), "step {step}");
            }
            _ if !snapshots.is_empty() => {
                let (file, token, ..) = snapshots.swap_remove(rng.usize(..snapshots.len()));
                server.release(&file, token).await.unwrap();
                bus.release(&file, token, now);
            }
            _ => {}
        }
    }
}

#[tokio::test]
async fn a_store_long_after_its_lookup_is_refused() {
    let process = RedisProcess::start(&[]);
    let (server, _) = process.joined(NODE).await;
    let file = FileId::parse("a").unwrap();
    let reply = server.look_up(&file, LeaseToken(1)).await.unwrap();
    let value = || Bytes::from_static(b"value");
    let (ttl, long_ago) = (Duration::from_mins(1), Duration::from_secs(31));
    let old =
        FenceSnapshot { at: reply.snapshot.at.saturating_sub(long_ago), ..reply.snapshot.clone() };
    assert!(!server.keep(&file, &old, LeaseToken(1), value(), ttl).await.unwrap());
    assert!(server.keep(&file, &reply.snapshot, LeaseToken(1), value(), ttl).await.unwrap());
}

/// Redis responds with nil here. That is no fault, and the next record is not missed.
#[tokio::test]
async fn a_read_at_the_end_of_the_stream_is_empty() {
    let process = RedisProcess::start(&[]);
    let (server, position) = process.joined(NODE).await;
    assert!(server.read(&position).await.unwrap().is_empty());
    server.append(RecordKind::Leave).await.unwrap();
    let records = server.read(&position).await.unwrap();
    assert_eq!(contents(&records), [(1, NODE, RecordKind::Leave)]);
    assert!(server.read(&records[0].position).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_full_server_takes_purges_and_heartbeats_but_no_values() {
    let process = RedisProcess::start(&[]);
    let (server, position) = process.joined(NODE).await;
    let file = FileId::parse("a").unwrap();
    let reply = server.look_up(&file, LeaseToken(1)).await.unwrap();
    server.configure("maxmemory", "1").await;
    let kept =
        server.keep(&file, &reply.snapshot, LeaseToken(1), Bytes::from_static(b"v"), LONG).await;
    assert!(matches!(kept, Err(ServerFault::Failed(_))), "{kept:?}");
    let source = InvalidationSource::Admin;
    let purge = Purge { target: Target::File(file), mode: PurgeMode::Hard, source };
    assert_eq!(server.purge(&purge).await.unwrap().seq, 1);
    server.append(RecordKind::Leave).await.unwrap();
    let reply = server.look_up(&file, LeaseToken(2)).await.unwrap();
    assert!(matches!(reply.result, LookupResult::LeaseGranted), "the purge ended the lease");
    assert_eq!(server.read(&position).await.unwrap().len(), 2);
}

#[tokio::test]
async fn the_ledger_counts_cells_as_its_in_memory_double() {
    let process = RedisProcess::start(&[]);
    let (server, _) = process.joined(NODE).await;
    let mut rng = Rng::with_seed(3);
    let queue = LeaseQueue::default();
    for quota in [Quota::new(1, 1000), Quota::new(7, 50), Quota::new(1_000_000, 3)] {
        // The rate is so low that no cell is refilled during the test, or so high that all of them
        // are.
        let (quota, mut same) = (quota.unwrap(), InMemoryLedger::default());
        let key = || SharedKey::Caller(format!("{quota:?}").into());
        for step in 0..40 {
            let lease = Arc::<QuotaLease>::default();
            lease.set_waiting_calls(rng.u32(..30), rng.u32(..10));
            let terms = queue.terms(quota, Credit::Allowed);
            for _ in 0..rng.u8(..5) {
                lease.spend(terms, LONG);
            }
            queue.request(key, terms, &lease);
            let requests = queue.take_batch(10, LONG);
            let real = server.debit(&requests).await.unwrap();
            let expected = same.debit(quota, requests[0].cells, LONG);
            let off =
                real[0].granted.abs_diff(expected.granted) + real[0].left.abs_diff(expected.left);
            let most = if quota.burst.get() == 1000 { 0 } else { 3 };
            assert!(off <= most, "step {step} of {quota:?}: {real:?}, not {expected:?}");
        }
    }
}

const LONG: Duration = Duration::from_mins(1);

#[tokio::test]
async fn a_server_that_may_forget_a_purge_is_refused() {
    for (options, expected) in [
        (&["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"][..], "noeviction"),
        (&["--cluster-enabled", "yes"], "Redis Cluster"),
    ] {
        let process = RedisProcess::start(options);
        let server = RedisServer::new(&process.url, "test", NODE);
        let refused = async {
            loop {
                match server.join().await {
                    Err(ServerFault::Refused(unfit)) => return unfit.to_string(),
                    Ok(_) => panic!("{options:?} was taken"),
                    Err(_) => tokio::task::yield_now().await,
                }
            }
        };
        let refused = tokio::time::timeout(Duration::from_secs(20), refused).await.unwrap();
        assert!(refused.contains(expected), "{refused}");
    }
}
