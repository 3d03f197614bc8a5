//! Simulated network between nodes and server, with delays, cuts, lost responses and suspended
//! nodes.

use std::collections::HashMap;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use fastrand::Rng;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::Truth;
use crate::clock::Clock;
use crate::cluster::bus::{
    Joined, Look, NodeId, Position, Record, ServerFault, Stream, Taken, Ticket, Token, Values, What,
};
use crate::cluster::twin::{Twin, Without};
use crate::file_id::FileId;
use crate::invalidation::Purge;

/// Simulated server, and facts about it that it does not know itself.
pub(super) struct Server {
    pub(super) twin: Twin,
    /// Newest versions at the time of each purge, by the id of its record.
    pub(super) floors: HashMap<String, Vec<u64>>,
    /// Newest version of each file.
    pub(super) truth: Truth,
    /// Id of the server process. A connection belongs to one process and ends with it.
    pub(super) process: u64,
    /// Time until which the server does not respond.
    pub(super) paused_until: Duration,
    /// Notified of each record.
    pub(super) changed: Arc<Notify>,
}

/// Callback for each purge that a node receives.
pub(super) type Heard = Box<dyn Fn(&Purge, &[u64]) + Send + Sync>;

/// Connection of one node to the server.
pub(super) struct Way {
    pub(super) node: NodeId,
    server: Arc<Mutex<Server>>,
    pub(super) clock: Clock,
    pub(super) sleeper: Sleeper,
    state: Mutex<State>,
    /// Called with each purge that was received, and the newest versions when the server took it.
    heard: Heard,
}

struct State {
    rng: Rng,
    /// Time until which no bytes pass.
    cut_until: Duration,
    /// Server process that the node is connected to; `None`: not connected.
    process: Option<u64>,
    /// Number of records that a node without replay takes as missing.
    skipped: u64,
    last: u64,
}

impl Way {
    pub(super) fn new(
        node: NodeId,
        server: Arc<Mutex<Server>>,
        clock: Clock,
        rng: Rng,
        heard: Heard,
    ) -> Self {
        let cut_until = Duration::ZERO;
        let state = Mutex::new(State { rng, cut_until, process: None, skipped: 0, last: 0 });
        Self { node, server, clock, sleeper: Sleeper::default(), state, heard }
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
        mut done: impl FnMut(&mut Server, Duration) -> Option<T>,
    ) -> Result<T, ServerFault> {
        let process = self.state.lock().process.ok_or(ServerFault::NotConnected)?;
        let answered = async {
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
                        && let Some(value) = done(&mut server, now)
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
        match self.sleeper.run(tokio::time::timeout(timeout, answered)).await {
            Ok(answered) => answered,
            Err(_elapsed) => Err(ServerFault::Timeout),
        }
    }
}

const ANSWER: Duration = Duration::from_secs(1);

impl Stream for Way {
    async fn join(&self) -> Result<Joined, ServerFault> {
        let process = self.server.lock().process;
        let was_there = self.state.lock().process.replace(process).is_some();
        let epoch = self.epoch();
        let mut stands = self.call(ANSWER, |server, _| Some(server.twin.join(&epoch))).await?;
        if self.server.lock().twin.without == Without::Replay && was_there {
            let mut state = self.state.lock();
            state.skipped = stands.seq.saturating_sub(state.last);
            stands.seq = state.last;
        }
        Ok(Joined { stands, nodes: Vec::new() })
    }

    async fn read(&self, position: &Position) -> Result<Vec<Record>, ServerFault> {
        let skipped = self.state.lock().skipped;
        let until = self.clock.monotonic() + Duration::from_secs(1);
        let found = |server: &mut Server, now| {
            let mut records = server.twin.read(position);
            if skipped > 0 {
                records.retain(|record| record.position.seq > position.seq + skipped);
                for record in &mut records {
                    record.position.seq -= skipped;
                }
            }
            (!records.is_empty() || now >= until).then_some(records)
        };
        let records = self.call(ANSWER * 2, found).await?;
        for record in &records {
            self.state.lock().last = record.position.seq;
            if let What::Purge(purge) = &record.what {
                let server = self.server.lock();
                let floors = server.floors.get(&record.position.id);
                (self.heard)(purge, floors.expect("each purge has been noted"));
            }
        }
        Ok(records)
    }

    async fn tell(&self, what: What) -> Result<Duration, ServerFault> {
        let epoch = self.epoch();
        let told = |server: &mut Server, now| {
            server.twin.append(self.node, what, &epoch, now);
            server.changed.notify_waiters();
            Some(now)
        };
        self.call(ANSWER, told).await
    }

    async fn purge(&self, purge: &Purge) -> Result<Taken, ServerFault> {
        let epoch = self.epoch();
        let purged = |server: &mut Server, now| {
            let mut taken = server.twin.purge(self.node, purge, &epoch, now);
            taken.seq -= self.state.lock().skipped;
            let floors = server.truth.lock().clone();
            server.floors.insert(server.twin.last_id(), floors);
            server.changed.notify_waiters();
            Some(taken)
        };
        self.call(ANSWER, purged).await
    }
}

impl Values for Way {
    async fn look(&self, file: &FileId, token: Token) -> Result<Look, ServerFault> {
        let look =
            self.call(ANSWER, |server, now| Some(server.twin.look(file, token, now))).await?;
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
        let kept = |server: &mut Server, now| {
            Some(server.twin.keep(file, ticket, token, (value.clone(), ttl), now))
        };
        self.call(ANSWER, kept).await
    }

    async fn release(&self, file: &FileId, token: Token) -> Result<(), ServerFault> {
        let released = |server: &mut Server, now| {
            server.twin.release(file, token, now);
            Some(())
        };
        self.call(ANSWER, released).await
    }
}

/// Process that can be suspended and resumed. While it sleeps nothing in it runs, timers included.
#[derive(Clone, Default)]
pub(super) struct Sleeper(Arc<Mutex<Asleep>>);

#[derive(Default)]
struct Asleep {
    asleep: bool,
    waiting: Vec<Waker>,
}

impl Sleeper {
    pub(super) fn stop(&self) {
        self.0.lock().asleep = true;
    }

    pub(super) fn go_on(&self) {
        let mut state = self.0.lock();
        state.asleep = false;
        state.waiting.drain(..).for_each(Waker::wake);
    }

    /// Runs `inner` as a part of the process.
    pub(super) async fn run<F: Future>(&self, inner: F) -> F::Output {
        let mut inner = pin!(inner);
        std::future::poll_fn(|context| self.poll(inner.as_mut(), context)).await
    }

    fn poll<F: Future>(&self, inner: Pin<&mut F>, context: &mut Context<'_>) -> Poll<F::Output> {
        {
            let mut state = self.0.lock();
            if state.asleep {
                state.waiting.push(context.waker().clone());
                return Poll::Pending;
            }
        }
        inner.poll(context)
    }
}
