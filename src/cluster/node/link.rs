//! Link of a node to the fleet's stream of purges.
//!
//! It joins, replays the purges that the node missed, applies new records, and sends heartbeats.
//! After a failure it joins again and resumes at its last position.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;

use super::applied_state::AppliedState;
use super::connection_log::ConnectionLog;
use super::link_health::{CUT_OFF_AFTER, LinkHealth};
use super::outbox::Outbox;
use crate::clock::Clock;
use crate::cluster::protocol::{
    Joined, NodeId, PurgeStream, READ_BATCH_MAX, Record, RecordKind, RecordNumber, ServerFault,
};
use crate::invalidation::{LocalInvalidator, PartialPurge, Published, Purge, PurgeBus};

/// Interval of a node's heartbeats.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(1);

/// Shortest and longest wait before the next attempt to join. The wait doubles after each failure.
const RETRY_MIN: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(2);

/// Number of pending purges that are published between two heartbeats.
const PUBLISHED_AT_ONCE: usize = 100;

/// Longest wait for a purge of this node to come back from the stream. After that
/// `Invalidator` applies it at once; it is applied again when its record comes.
const DELIVERY_TIMEOUT: Duration = Duration::from_millis(50);

/// One node's link to the server, and the state that it keeps.
pub(in crate::cluster) struct Link<S> {
    pub(super) server: Arc<S>,
    pub(super) health: Arc<LinkHealth>,
    pub(in crate::cluster) outbox: Arc<Outbox>,
    clock: Clock,
    state: Mutex<AppliedState>,
    /// Notified after each record that was applied.
    applied: watch::Sender<()>,
    log: Mutex<ConnectionLog>,
}

impl<S: PurgeStream> Link<S> {
    pub(in crate::cluster) fn new(
        server: Arc<S>,
        node: NodeId,
        health: Arc<LinkHealth>,
        local: LocalInvalidator,
        clock: Clock,
    ) -> Self {
        let state = AppliedState::new(node, Arc::clone(&health), local, clock.clone());
        let (outbox, state) = (Arc::default(), Mutex::new(state));
        let applied = watch::Sender::default();
        let log = Mutex::default();
        Self { server, health, outbox, clock, state, applied, log }
    }

    /// Keeps the node connected. Does not return.
    pub(in crate::cluster) async fn run(&self) {
        let mut wait = RETRY_MIN;
        loop {
            let read_until = self.health.read_until();
            let ended = match self.server.join().await {
                Ok(joined) => self.session(joined).await,
                Err(fault) => fault,
            };
            // A server that can be joined may still be unusable, so only a record resets the wait.
            if self.health.read_until() > read_until {
                wait = RETRY_MIN;
            }
            self.health.set_error(&ended);
            self.log.lock().failed(&ended);
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(RETRY_MAX);
        }
    }

    /// Runs one session after a join. Returns the fault that ended it.
    async fn session(&self, joined: Joined) -> ServerFault {
        self.state.lock().resume(joined);
        let (read, heartbeats) = (self.read(), self.send_heartbeats());
        tokio::select! {
            biased;
            fault = read => fault,
            fault = heartbeats => fault,
        }
    }

    /// Reads and applies records until a call fails, or the stream counts as silent.
    async fn read(&self) -> ServerFault {
        let mut last_record = self.clock.monotonic();
        loop {
            let position = self.state.lock().position().cloned();
            let position = position.expect("a node that has joined has a position");
            let began = self.clock.monotonic();
            let records = match self.server.read(&position).await {
                Ok(records) => records,
                Err(fault) => return fault,
            };
            let count = records.len();
            for record in records {
                self.receive(record);
            }
            if count > 0 {
                last_record = began;
            } else if self.clock.monotonic() > last_record + CUT_OFF_AFTER {
                // The node's own heartbeats do not come back: this is not the stream that they go
                // into.
                return ServerFault::Silent;
            }
            // A full batch means that more records wait. When those were appended is unknown. A
            // batch that is not full held all that was in the stream when the read began.
            if (1..READ_BATCH_MAX).contains(&count) {
                self.health.set_read_until(began);
                self.log.lock().connected();
            }
        }
    }

    fn receive(&self, record: Record) {
        self.state.lock().apply(record);
        // Notified after the lock is released, since each waiter takes it.
        self.applied.send_replace(());
    }

    /// Sends heartbeats and the pending purges until a call fails.
    async fn send_heartbeats(&self) -> ServerFault {
        loop {
            let sent = self.clock.monotonic();
            match self.server.append(RecordKind::Heartbeat { sent }).await {
                Ok(server_time) => {
                    self.health.set_clock_skew(server_time, self.clock.unix_time());
                }
                Err(fault) => return fault,
            }
            match self.publish_pending().await {
                Ok(()) if self.outbox.len() > 0 => {}
                Ok(()) => tokio::time::sleep(HEARTBEAT_INTERVAL).await,
                Err(fault) => return fault,
            }
        }
    }

    /// Publishes some of the pending purges.
    async fn publish_pending(&self) -> Result<(), ServerFault> {
        for _ in 0..PUBLISHED_AT_ONCE {
            let Some(first) = self.outbox.first() else { break };
            self.server.purge(&first.purge).await?;
            self.outbox.remove_published(&first);
        }
        Ok(())
    }

    /// Publishes a purge on the server. If that fails, keeps it in the outbox.
    async fn publish_purge(&self, purge: &Purge) -> Result<Published, ServerFault> {
        let number = match self.server.purge(purge).await {
            Ok(number) => number,
            Err(fault) => {
                self.outbox.push(*purge);
                return Err(fault);
            }
        };
        if tokio::time::timeout(DELIVERY_TIMEOUT, self.has_applied(&number)).await.is_ok() {
            return Ok(Published::AppliedHere);
        }
        let epoch = self.state.lock().position().map(|own| own.epoch.clone());
        if epoch.is_some_and(|epoch| epoch != number.epoch) {
            // The purge went to a server that the fleet has left, or to one that was emptied since.
            self.outbox.push(*purge);
            return Err(ServerFault::Replaced);
        }
        Ok(Published::Unapplied)
    }

    /// Waits until a record has been applied.
    async fn has_applied(&self, number: &RecordNumber) {
        let mut applied = self.applied.subscribe();
        let is_applied = || self.state.lock().position().is_some_and(|own| own.includes(number));
        while !is_applied() {
            // The sender is a field of `self`, so `changed` cannot fail.
            _ = applied.changed().await;
        }
    }

    /// Publishes the pending purges, and appends the record that this node leaves.
    pub(in crate::cluster) async fn leave(&self) {
        while self.outbox.len() > 0 {
            if self.publish_pending().await.is_err() {
                return;
            }
        }
        // The other nodes drop this one after five seconds if they do not receive it.
        _ = self.server.append(RecordKind::Leave).await;
    }
}

impl<S: PurgeStream> PurgeBus for Link<S> {
    fn publish(
        self: Arc<Self>,
        purge: Purge,
    ) -> Pin<Box<dyn Future<Output = Result<Published, PartialPurge>> + Send>> {
        Box::pin(async move {
            self.publish_purge(&purge).await.map_err(|fault| {
                let error = &fault as &(dyn std::error::Error + 'static);
                tracing::warn!(error, "cannot send a purge to the fleet: it will be sent later");
                PartialPurge
            })
        })
    }
}

#[cfg(test)]
mod tests;
