//! Simulated network between nodes and server, with delays, cuts, lost responses and suspended
//! nodes.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fastrand::Rng;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::node::UpstreamVersions;
use super::suspension::Suspension;
use crate::clock::Clock;
use crate::cluster::protocol::{
    FenceSnapshot, Joined, LeaseToken, LookupReply, NodeId, PurgeStream, Record, RecordKind,
    RecordNumber, ServerFault, SharedValues, StreamPosition,
};
use crate::cluster::tests::in_memory_bus::{DisabledRule, InMemoryBus};
use crate::file_id::FileId;
use crate::invalidation::Purge;

/// Timeout of a call, as in `redis::server`.
const CALL_TIMEOUT: Duration = Duration::from_secs(1);

/// Simulated server, and facts about it that it does not know itself.
pub(super) struct SimulatedServer {
    pub(super) bus: InMemoryBus,
    /// Newest versions (floors) at the time of each purge, by the id of its record.
    pub(super) floors: HashMap<String, Vec<u64>>,
    /// Newest version of each file.
    pub(super) versions: UpstreamVersions,
    /// Id of the server process. A connection belongs to one process and ends with it.
    pub(super) process: u64,
    /// Time until which the server does not respond.
    pub(super) paused_until: Duration,
    /// Notified of each record.
    pub(super) changed: Arc<Notify>,
}

/// Callback for each purge that a node receives.
pub(super) type OnReceived = Box<dyn Fn(&Purge, &[u64]) + Send + Sync>;

/// Connection of one node to the server.
pub(super) struct SimulatedConnection {
    pub(super) node: NodeId,
    server: Arc<Mutex<SimulatedServer>>,
    pub(super) clock: Clock,
    pub(super) suspension: Suspension,
    state: Mutex<ConnectionState>,
    /// Called with each purge that was received, and the newest versions when the server took it.
    on_received: OnReceived,
}

struct ConnectionState {
    rng: Rng,
    /// Time until which no bytes pass.
    cut_until: Duration,
    /// Server process that the node is connected to; `None`: not connected.
    process: Option<u64>,
    /// Number of records that a node without replay takes as missing.
    skipped: u64,
    last: u64,
}

impl SimulatedConnection {
    pub(super) fn new(
        node: NodeId,
        server: Arc<Mutex<SimulatedServer>>,
        clock: Clock,
        rng: Rng,
        on_received: OnReceived,
    ) -> Self {
        let cut_until = Duration::ZERO;
        let state =
            Mutex::new(ConnectionState { rng, cut_until, process: None, skipped: 0, last: 0 });
        Self { node, server, clock, suspension: Suspension::default(), state, on_received }
    }

    pub(super) fn cut(&self, until: Duration) {
        self.state.lock().cut_until = until;
    }

    /// Returns a fresh epoch.
    fn epoch(&self) -> String {
        format!("{:032x}", self.state.lock().rng.u128(..))
    }

    /// Draws the latency of one direction; it is mostly short.
    fn delay(&self) -> Duration {
        let mut state = self.state.lock();
        let micros = if state.rng.u8(..) < 4 { 20_000 } else { 500 };
        Duration::from_micros(state.rng.u64(50..micros))
    }

    /// Waits until bytes pass.
    async fn pass(&self) {
        loop {
            tokio::time::sleep(self.delay()).await;
            let cut_until = self.state.lock().cut_until;
            let now = self.clock.monotonic();
            if cut_until <= now {
                return;
            }
            tokio::time::sleep(cut_until.saturating_sub(now)).await;
        }
    }

    /// Makes one call: the request passes, takes effect at one instant, and the response passes. A
    /// lost message shows as a timeout.
    async fn call<T>(
        &self,
        timeout: Duration,
        mut effect: impl FnMut(&mut SimulatedServer, Duration) -> Option<T>,
    ) -> Result<T, ServerFault> {
        let process = self.state.lock().process.ok_or(ServerFault::NotConnected)?;
        let reply = async {
            self.pass().await;
            let value = loop {
                let now = self.clock.monotonic();
                let (changed, paused_until) = {
                    let mut server = self.server.lock();
                    if server.process != process {
                        return Err(ServerFault::Failed("it has ended".into()));
                    }
                    let paused_until = server.paused_until;
                    if paused_until <= now
                        && let Some(value) = effect(&mut server, now)
                    {
                        break value;
                    }
                    (Arc::clone(&server.changed), paused_until)
                };
                let wait = paused_until.saturating_sub(now).max(Duration::from_millis(200));
                // A read that waits for records is woken for each.
                _ = tokio::time::timeout(wait, changed.notified()).await;
            };
            self.pass().await;
            Ok(value)
        };
        match self.suspension.run(tokio::time::timeout(timeout, reply)).await {
            Ok(reply) => reply,
            Err(_elapsed) => Err(ServerFault::Timeout),
        }
    }
}

impl PurgeStream for SimulatedConnection {
    async fn join(&self) -> Result<Joined, ServerFault> {
        let process = self.server.lock().process;
        let was_connected = self.state.lock().process.replace(process).is_some();
        let epoch = self.epoch();
        let mut end = self.call(CALL_TIMEOUT, |server, _| Some(server.bus.join(&epoch))).await?;
        if self.server.lock().bus.disabled == DisabledRule::Replay && was_connected {
            let mut state = self.state.lock();
            state.skipped = end.seq.saturating_sub(state.last);
            end.seq = state.last;
        }
        Ok(Joined { end, nodes: Vec::new() })
    }

    async fn read(&self, position: &StreamPosition) -> Result<Vec<Record>, ServerFault> {
        let skipped = self.state.lock().skipped;
        let until = self.clock.monotonic() + Duration::from_secs(1);
        let found = |server: &mut SimulatedServer, now| {
            let mut records = server.bus.read(position);
            if skipped > 0 {
                records.retain(|record| record.position.seq > position.seq + skipped);
                for record in &mut records {
                    record.position.seq -= skipped;
                }
            }
            (!records.is_empty() || now >= until).then_some(records)
        };
        let records = self.call(CALL_TIMEOUT * 2, found).await?;
        for record in &records {
            self.state.lock().last = record.position.seq;
            if let RecordKind::Purge(purge) = &record.kind {
                let server = self.server.lock();
                let floors = server.floors.get(&record.position.id);
                (self.on_received)(purge, floors.expect("each purge has its floors"));
            }
        }
        Ok(records)
    }

    async fn append(&self, kind: RecordKind) -> Result<Duration, ServerFault> {
        let epoch = self.epoch();
        let appended = |server: &mut SimulatedServer, now| {
            server.bus.append(self.node, kind, &epoch, now);
            server.changed.notify_waiters();
            Some(now)
        };
        self.call(CALL_TIMEOUT, appended).await
    }

    async fn purge(&self, purge: &Purge) -> Result<RecordNumber, ServerFault> {
        let epoch = self.epoch();
        let purged = |server: &mut SimulatedServer, now| {
            let mut number = server.bus.purge(self.node, purge, &epoch, now);
            number.seq -= self.state.lock().skipped;
            let floors = server.versions.lock().clone();
            server.floors.insert(server.bus.last_id(), floors);
            server.changed.notify_waiters();
            Some(number)
        };
        self.call(CALL_TIMEOUT, purged).await
    }
}

impl SharedValues for SimulatedConnection {
    async fn look_up(&self, file: &FileId, token: LeaseToken) -> Result<LookupReply, ServerFault> {
        let reply = self
            .call(CALL_TIMEOUT, |server, now| Some(server.bus.look_up(file, token, now)))
            .await?;
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
        let kept = |server: &mut SimulatedServer, now| {
            Some(server.bus.keep(file, snapshot, token, (value.clone(), ttl), now))
        };
        self.call(CALL_TIMEOUT, kept).await
    }

    async fn release(&self, file: &FileId, token: LeaseToken) -> Result<(), ServerFault> {
        let released = |server: &mut SimulatedServer, now| {
            server.bus.release(file, token, now);
            Some(())
        };
        self.call(CALL_TIMEOUT, released).await
    }
}
