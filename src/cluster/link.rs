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
use super::bus::{BATCH_MAX, NodeId, Position, Record, ServerFault, Stream, Taken, What};
use super::members::Members;
use super::outbox::Outbox;
use super::standing::Standing;
use crate::cache::{Force, Target};
use crate::clock::Clock;
use crate::invalidation::{Bus, InvalidationSource, LocalInvalidator, Partial, Published, Purge};

/// How often a node tells that it is there.
const BEAT: Duration = Duration::from_secs(1);

/// How long to wait before joining again; at first, and at most.
const RETRY_MIN: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(2);

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
        Self { server, node, standing, outbox, local, clock, known, applied }
    }

    /// For as long as the process lives.
    pub(super) async fn keep(&self) {
        let (mut wait, mut told) = (RETRY_MIN, Told::default());
        loop {
            let ended = match self.server.join().await {
                Ok(stands) => {
                    told.joined();
                    wait = RETRY_MIN;
                    self.session(stands).await
                }
                Err(fault) => fault,
            };
            told.failed(&ended);
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(RETRY_MAX);
        }
    }

    /// From joining to whatever ends it.
    async fn session(&self, stands: Position) -> ServerFault {
        self.resume(stands);
        let (read, beat) = (self.read(), self.beat());
        tokio::select! {
            biased;
            fault = read => fault,
            fault = beat => fault,
        }
    }

    /// Goes on from what is known, if that is of the same epoch.
    fn resume(&self, stands: Position) {
        let mut known = self.known.lock();
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
        let (force, source) = (Force::Hard, InvalidationSource::Cluster);
        self.local.apply(&Purge { target: Target::All, force, source });
    }

    async fn read(&self) -> ServerFault {
        loop {
            let Some(position) = self.known.lock().position.clone() else {
                return ServerFault::NotConnected;
            };
            let asked = self.clock.monotonic();
            let records = match self.server.read(&position).await {
                Ok(records) => records,
                Err(fault) => return fault,
            };
            let count = records.len();
            for record in records {
                self.take(record);
            }
            // With as many as there may be, there are more. Nobody knows when these were put in,
            // but that it is all that there was when they were asked for.
            if (1..BATCH_MAX).contains(&count) {
                self.standing.note_heard(asked);
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
        let next = known.position.as_ref().map_or(Next::Skips, |own| own.next(&position));
        match next {
            Next::Known => return,
            Next::Follows => {}
            Next::Skips => self.reset(&mut known, position.clone()),
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
            What::Purge(_) => {}
        }
        known.position = Some(position);
    }

    /// Tells what is waiting to be told, and that the node is there.
    async fn beat(&self) -> ServerFault {
        loop {
            if let Err(fault) = self.empty_outbox().await {
                return fault;
            }
            let sent = self.clock.monotonic();
            match self.server.tell(What::Beat { sent }).await {
                Ok(server_time) => self.standing.note_skew(server_time, self.clock.unix_time()),
                Err(fault) => return fault,
            }
            tokio::time::sleep(BEAT).await;
        }
    }

    async fn empty_outbox(&self) -> Result<(), ServerFault> {
        while let Some(first) = self.outbox.first() {
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
        Ok(match tokio::time::timeout(COMES_BACK, self.comes_back(&taken)).await {
            Ok(()) => Published::AppliedHere,
            Err(_elapsed) => Published::Unapplied,
        })
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
        if self.empty_outbox().await.is_ok() {
            // They find out by themselves if they do not hear it.
            _ = self.server.tell(What::Leave).await;
        }
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
mod tests {
    use super::*;

    #[test]
    fn a_record_follows_or_is_known_or_skips_some() {
        let at = |epoch: &str, seq| Position { epoch: epoch.to_owned(), seq, id: String::new() };
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
}
