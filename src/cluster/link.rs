//! A node's tie to the stream: joins, replays what it missed, applies what comes, and tells that
//! it is there. When anything fails it begins again from where it was.
//!
//! What a node knows is a position: everything up to it is applied. The next record has the next
//! number, or some are missing: then nothing that is stored counts any more, and the node goes on
//! from there. The same after the server's epoch has changed.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;

use super::STATE_CHANGE;
use super::bus::{BATCH_MAX, Joined, NodeId, Position, Record, ServerFault, Stream, Taken, What};
use super::members::Members;
use super::outbox::Outbox;
use super::standing::{CUT_OFF_AFTER, Standing};
use crate::cache::{PurgeMode, Target};
use crate::clock::Clock;
use crate::invalidation::{Bus, InvalidationSource, LocalInvalidator, Partial, Published, Purge};

/// How often a node tells that it is there.
const BEAT: Duration = Duration::from_secs(1);

/// How long to wait before joining again; at first, and at most.
const RETRY_MIN: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(2);

/// Purges of before that are told between two beats.
const TOLD_AT_ONCE: usize = 100;

/// How long a purge of this node is waited for to come back from the stream. After that it is
/// applied at once, and again when it comes.
const COMES_BACK: Duration = Duration::from_millis(50);

pub(super) struct Link<S> {
    pub(super) server: Arc<S>,
    pub(super) node: NodeId,
    pub(super) standing: Arc<Standing>,
    pub(super) outbox: Arc<Outbox>,
    pub(super) local: LocalInvalidator,
    pub(super) clock: Clock,
    known: Mutex<Known>,
    /// Told of each record that was applied.
    applied: watch::Sender<()>,
    told: Mutex<Told>,
}

/// What has been applied.
#[derive(Default)]
struct Known {
    /// `None`: nothing yet.
    position: Option<Position>,
    members: Members,
}

/// What one record means for a node that knows everything up to a position.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Next {
    Known,
    Follows,
    /// Some are missing before it.
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
        let told = Mutex::default();
        Self { server, node, standing, outbox, local, clock, known, applied, told }
    }

    /// For as long as the process lives.
    pub(super) async fn keep(&self) {
        let mut wait = RETRY_MIN;
        loop {
            let heard = self.standing.heard();
            let ended = match self.server.join().await {
                Ok(joined) => self.session(joined).await,
                Err(fault) => fault,
            };
            // That it can be joined does not mean that it can be used.
            if self.standing.heard() > heard {
                wait = RETRY_MIN;
            }
            self.told.lock().failed(&ended);
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(RETRY_MAX);
        }
    }

    /// From joining to whatever ends it.
    async fn session(&self, joined: Joined) -> ServerFault {
        self.resume(joined);
        let (read, beat) = (self.read(), self.beat());
        tokio::select! {
            biased;
            fault = read => fault,
            fault = beat => fault,
        }
    }

    /// Goes on from what is known, if that is of the same epoch.
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

    /// Something may have been missed before `position`, from which on everything is known.
    fn reset(&self, known: &mut Known, position: Position) {
        // There is nothing yet that could have been missed, but for what was fetched before.
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
            let position = position.expect("whoever has joined has a position");
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
                // What is told does not come back: this is not the stream that it goes into.
                return ServerFault::Silent;
            }
            // With as many as there may be, there are more. Nobody knows when these were put in,
            // but that it is all that there was when they were asked for.
            if (1..BATCH_MAX).contains(&count) {
                self.standing.note_heard(asked);
                self.told.lock().joined();
            }
        }
    }

    fn take(&self, record: Record) {
        self.apply(record);
        // Not while what is known is locked: who waits looks at it.
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
            // Everything is purged already.
            What::Purge(_) | What::Stray | What::Unknown => {}
        }
        known.position = Some(position);
    }

    /// Tells what is waiting to be told, and that the node is there.
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

    /// Tells some of what is waiting to be told.
    async fn tell_purges(&self) -> Result<(), ServerFault> {
        for _ in 0..TOLD_AT_ONCE {
            let Some(first) = self.outbox.first() else { break };
            self.server.purge(&first.purge).await?;
            self.outbox.told(&first);
        }
        Ok(())
    }

    /// Makes a purge final on the server, or keeps it until it can be.
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
            // It went to a server that is the fleet's no longer, or to one that was emptied since.
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
            // The other end is here.
            _ = applied.changed().await;
        }
    }

    /// Tells the others what they have not heard yet, and that this node ends.
    pub(super) async fn leave(&self) {
        while self.outbox.len() > 0 {
            if self.tell_purges().await.is_err() {
                return;
            }
        }
        // They find out by themselves if they do not hear it.
        _ = self.server.tell(What::Leave).await;
    }
}

impl<S: Stream> Bus for Link<S> {
    fn publish(
        self: Arc<Self>,
        purge: Purge,
    ) -> Pin<Box<dyn Future<Output = Result<Published, Partial>> + Send>> {
        Box::pin(async move {
            self.purge(&purge).await.map_err(|fault| {
                let error = &fault as &(dyn std::error::Error + 'static);
                tracing::warn!(error, "a purge could not be told to the fleet, and will be");
                Partial
            })
        })
    }
}

/// What was said of the connection since it last changed: no cause is repeated at each try.
#[derive(Debug, Default)]
struct Told {
    joined: bool,
    causes: Vec<String>,
}

/// Causes that are told before the connection is there again: the first may not be the one that
/// matters.
const CAUSES_MAX: usize = 4;

impl Told {
    fn joined(&mut self) {
        if !self.joined {
            tracing::info!(
                target: STATE_CHANGE, part = "cluster", state = "joined", "the fleet's Redis is there"
            );
        }
        *self = Self { joined: true, causes: Vec::new() };
    }

    fn failed(&mut self, fault: &ServerFault) {
        self.joined = false;
        let cause = fault.to_string();
        if self.causes.len() >= CAUSES_MAX || self.causes.contains(&cause) {
            return;
        }
        tracing::error!(
            target: STATE_CHANGE,
            part = "cluster",
            state = "apart",
            error = cause,
            "the fleet's Redis cannot be used: after 3 s without it only what is fresh is \
             answered, and purges are not told to the others until it is back"
        );
        self.causes.push(cause);
    }
}

#[cfg(test)]
mod tests;
