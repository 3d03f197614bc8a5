//! Connection of a node to the fleet's stream of purges.
//!
//! It joins, replays the purges that the node missed, applies new records, and sends heartbeats.
//! After a failure it joins again and resumes at its last position.
//!
//! A node's state is a position: every record up to it is applied. The next record has the next
//! sequence number. If a number is missing, the node discards its whole cache and continues from
//! the new record. It does the same after the server's epoch has changed.

mod connection_log;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;

use connection_log::ConnectionLog;

use super::bus::{BATCH_MAX, Joined, NodeId, Position, Record, ServerFault, Stream, Taken, What};
use super::members::Members;
use super::outbox::Outbox;
use super::standing::{CUT_OFF_AFTER, Standing};
use crate::cache::{PurgeMode, Target};
use crate::clock::Clock;
use crate::invalidation::{
    InvalidationSource, LocalInvalidator, PartialPurge, Published, Purge, PurgeBus,
};

/// Interval of a node's heartbeats.
const BEAT: Duration = Duration::from_secs(1);

/// Shortest and longest wait before the next attempt to join. The wait doubles after each failure.
const RETRY_MIN: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(2);

/// Number of pending purges that are published between two heartbeats.
const TOLD_AT_ONCE: usize = 100;

/// Longest wait for a purge of this node to come back from the stream. After that the caller
/// applies it at once; it is applied again when its record comes.
const COMES_BACK: Duration = Duration::from_millis(50);

/// One node's connection to the server, and the state that it keeps.
pub(super) struct Link<S> {
    pub(super) server: Arc<S>,
    pub(super) node: NodeId,
    pub(super) standing: Arc<Standing>,
    pub(super) outbox: Arc<Outbox>,
    pub(super) local: LocalInvalidator,
    pub(super) clock: Clock,
    known: Mutex<Known>,
    /// Notified after each record that was applied.
    applied: watch::Sender<()>,
    log: Mutex<ConnectionLog>,
}

/// Applied state: position in the stream, and the members of the fleet.
#[derive(Default)]
struct Known {
    /// `None` until the first join.
    position: Option<Position>,
    members: Members,
}

/// Relation of a record to a node's position.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Next {
    /// The record is applied already.
    Known,
    /// The record is the next one.
    Follows,
    /// Records are missing before this one.
    Skips,
}

impl Position {
    fn next(&self, record: &Self) -> Next {
        if record.epoch != self.epoch || record.seq > self.seq + 1 {
            Next::Skips
        } else if record.seq == self.seq + 1 {
            Next::Follows
        } else {
            Next::Known
        }
    }
}

impl<S: Stream> Link<S> {
    pub(super) fn new(
        server: Arc<S>,
        node: NodeId,
        standing: Arc<Standing>,
        local: LocalInvalidator,
        clock: Clock,
    ) -> Self {
        let (outbox, known) = (Arc::default(), Mutex::default());
        let applied = watch::Sender::default();
        let log = Mutex::default();
        Self { server, node, standing, outbox, local, clock, known, applied, log }
    }

    /// Keeps the node connected. Does not return.
    pub(super) async fn keep(&self) {
        let mut wait = RETRY_MIN;
        loop {
            let heard = self.standing.heard();
            let ended = match self.server.join().await {
                Ok(joined) => self.session(joined).await,
                Err(fault) => fault,
            };
            // A server that can be joined may still be unusable, so only a record resets the wait.
            if self.standing.heard() > heard {
                wait = RETRY_MIN;
            }
            self.log.lock().failed(&ended);
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(RETRY_MAX);
        }
    }

    /// Runs one session after a join. Returns the fault that ended it.
    async fn session(&self, joined: Joined) -> ServerFault {
        self.resume(joined);
        let (read, beat) = (self.read(), self.beat());
        tokio::select! {
            biased;
            fault = read => fault,
            fault = beat => fault,
        }
    }

    /// Resumes at the own position if the epoch is the same; otherwise resets to the server's
    /// position.
    fn resume(&self, Joined { stands, nodes }: Joined) {
        let mut known = self.known.lock();
        let nodes = known.members.resume(&nodes, self.clock.monotonic());
        self.standing.note_nodes(nodes);
        let continues = known
            .position
            .as_ref()
            .is_some_and(|own| own.epoch == stands.epoch && own.seq <= stands.seq);
        if !continues {
            self.reset(&mut known, stands);
        }
    }

    /// Purges everything, since records before `position` may have been missed. All after it are
    /// known.
    fn reset(&self, known: &mut Known, position: Position) {
        // On the first join no record can have been missed. Only responses that were fetched
        // before it can be stale.
        if known.position.is_some() {
            self.standing.note_reset();
        }
        known.position = Some(position);
        let (mode, source) = (PurgeMode::Hard, InvalidationSource::Cluster);
        self.local.apply(&Purge { target: Target::All, mode, source });
    }

    async fn read(&self) -> ServerFault {
        let mut heard = self.clock.monotonic();
        loop {
            let position = self.known.lock().position.clone();
            let position = position.expect("a node that has joined has a position");
            let asked = self.clock.monotonic();
            let records = match self.server.read(&position).await {
                Ok(records) => records,
                Err(fault) => return fault,
            };
            let count = records.len();
            for record in records {
                self.take(record);
            }
            if count > 0 {
                heard = asked;
            } else if self.clock.monotonic() > heard + CUT_OFF_AFTER {
                // The node's own heartbeats do not come back: this is not the stream that they go
                // into.
                return ServerFault::Silent;
            }
            // A full batch means that more records wait. When those were appended is unknown. A
            // batch that is not full held all that was in the stream when the read began.
            if (1..BATCH_MAX).contains(&count) {
                self.standing.note_heard(asked);
                self.log.lock().joined();
            }
        }
    }

    fn take(&self, record: Record) {
        self.apply(record);
        // Notified after the lock is released, since each waiter takes it.
        self.applied.send_replace(());
    }

    fn apply(&self, record: Record) {
        let Record { position, node, what } = record;
        let mut known = self.known.lock();
        if what == What::Stray {
            if let Some(own) = &mut known.position {
                own.id = position.id;
            }
            return;
        }
        let next = known.position.as_ref().map_or(Next::Skips, |own| own.next(&position));
        match next {
            Next::Known => return,
            Next::Follows if what != What::Unknown => {}
            Next::Follows | Next::Skips => self.reset(&mut known, position.clone()),
        }
        let now = self.clock.monotonic();
        match what {
            What::Beat { sent } => {
                let nodes = known.members.saw(node, now);
                self.standing.note_nodes(nodes);
                if node == self.node {
                    self.standing.note_lag(now.saturating_sub(sent));
                }
            }
            What::Leave => self.standing.note_nodes(known.members.left(node)),
            What::Purge(purge) if next == Next::Follows => self.local.apply(&purge),
            // `reset` has purged everything already.
            What::Purge(_) | What::Stray | What::Unknown => {}
        }
        known.position = Some(position);
    }

    /// Sends heartbeats and the pending purges until a call fails.
    async fn beat(&self) -> ServerFault {
        loop {
            let sent = self.clock.monotonic();
            match self.server.tell(What::Beat { sent }).await {
                Ok(server_time) => self.standing.note_skew(server_time, self.clock.unix_time()),
                Err(fault) => return fault,
            }
            match self.tell_purges().await {
                Ok(()) if self.outbox.len() > 0 => {}
                Ok(()) => tokio::time::sleep(BEAT).await,
                Err(fault) => return fault,
            }
        }
    }

    /// Publishes some of the pending purges.
    async fn tell_purges(&self) -> Result<(), ServerFault> {
        for _ in 0..TOLD_AT_ONCE {
            let Some(first) = self.outbox.first() else { break };
            self.server.purge(&first.purge).await?;
            self.outbox.told(&first);
        }
        Ok(())
    }

    /// Publishes a purge on the server. If that fails, keeps it in the outbox.
    async fn purge(&self, purge: &Purge) -> Result<Published, ServerFault> {
        let taken = match self.server.purge(purge).await {
            Ok(taken) => taken,
            Err(fault) => {
                self.outbox.push(*purge);
                return Err(fault);
            }
        };
        if tokio::time::timeout(COMES_BACK, self.comes_back(&taken)).await.is_ok() {
            return Ok(Published::AppliedHere);
        }
        let epoch = self.known.lock().position.as_ref().map(|own| own.epoch.clone());
        if epoch.is_some_and(|epoch| epoch != taken.epoch) {
            // The purge went to a server that the fleet has left, or to one that was emptied since.
            self.outbox.push(*purge);
            return Err(ServerFault::Replaced);
        }
        Ok(Published::Unapplied)
    }

    /// Waits until a record has been applied.
    async fn comes_back(&self, taken: &Taken) {
        let mut applied = self.applied.subscribe();
        let is_applied = || {
            let known = self.known.lock();
            let position = known.position.as_ref();
            position.is_some_and(|own| own.epoch == taken.epoch && own.seq >= taken.seq)
        };
        while !is_applied() {
            // The sender is a field of `self`, so `changed` cannot fail.
            _ = applied.changed().await;
        }
    }

    /// Publishes the pending purges, and tells the fleet that this node ends.
    pub(super) async fn leave(&self) {
        while self.outbox.len() > 0 {
            if self.tell_purges().await.is_err() {
                return;
            }
        }
        // The other nodes drop this one after five seconds if they do not receive it.
        _ = self.server.tell(What::Leave).await;
    }
}

impl<S: Stream> PurgeBus for Link<S> {
    fn publish(
        self: Arc<Self>,
        purge: Purge,
    ) -> Pin<Box<dyn Future<Output = Result<Published, PartialPurge>> + Send>> {
        Box::pin(async move {
            self.purge(&purge).await.map_err(|fault| {
                let error = &fault as &(dyn std::error::Error + 'static);
                tracing::warn!(error, "a purge could not be told to the fleet, and will be");
                PartialPurge
            })
        })
    }
}

#[cfg(test)]
mod tests;
