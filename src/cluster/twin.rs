//! In-process double of Redis that does what the scripts do, for simulations.
//!
//! The tests in `conformance` compare it with a real server.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;

use super::bus::{
    BATCH_MAX, Found, LEASE, Look, NodeId, Position, Record, Taken, Ticket, Token, What,
};
use crate::cache::Target;
use crate::file_id::FileId;
use crate::invalidation::Purge;

/// Lifetime of a fence; the same figure as in `purge.lua`.
const FENCE: Duration = Duration::from_mins(1);
/// Longest age of a ticket that may store a value; the same figure as in `keep.lua`.
const TICKET_AGE_MAX: Duration = Duration::from_secs(30);

/// Rule of the protocol that a simulation switches off, to show that the promise breaks without it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Without {
    Nothing,
    /// A restarted server, or another one in its place, keeps the same epoch.
    Epoch,
    /// A value is stored although its file was purged after the ticket.
    Fence,
    /// A ticket of any age may store a value.
    LeaseTime,
    /// A node that comes back resumes at the end of the stream, without the records between.
    Replay,
}

/// Data on the server. A clone is a snapshot, or a replica that lags.
#[derive(Clone, Debug)]
pub(super) struct Twin {
    pub(super) without: Without,
    epoch: Option<String>,
    replid: u64,
    replid_of_epoch: u64,
    seq: u64,
    generation: u64,
    stream: VecDeque<Record>,
    fences: HashMap<FileId, Expiring<u64>>,
    values: HashMap<FileId, Expiring<(String, Bytes)>>,
    leases: HashMap<FileId, Expiring<Token>>,
}

/// A value and the time at which it expires.
#[derive(Clone, Debug)]
struct Expiring<T>(T, Duration);

fn get<'a, T>(of: &'a HashMap<FileId, Expiring<T>>, file: &FileId, now: Duration) -> Option<&'a T> {
    of.get(file).filter(|Expiring(_, until)| *until > now).map(|Expiring(value, _)| value)
}

fn micros(now: Duration) -> u64 {
    u64::try_from(now.as_micros()).unwrap()
}

impl Twin {
    pub(super) fn new(without: Without) -> Self {
        Self {
            without,
            epoch: None,
            replid: 1,
            replid_of_epoch: 0,
            seq: 0,
            generation: 0,
            stream: VecDeque::new(),
            fences: HashMap::new(),
            values: HashMap::new(),
            leases: HashMap::new(),
        }
    }

    /// Returns another process with what is left of the data. `replid`: a replication id not used
    /// before.
    pub(super) fn restarted(self, replid: u64) -> Self {
        Self { replid, ..self }
    }

    pub(super) fn emptied(&self) -> Self {
        Self { replid: self.replid, ..Self::new(self.without) }
    }

    pub(super) fn trim(&mut self, length: usize) {
        while self.stream.len() > length {
            self.stream.pop_front();
        }
    }

    /// Returns the stream id of the last record.
    pub(super) fn last_id(&self) -> String {
        self.stream.back().map_or("0-0".to_owned(), |last| last.position.id.clone())
    }

    pub(super) fn join(&mut self, fresh: &str) -> Position {
        let is_another = self.replid_of_epoch != self.replid && self.without != Without::Epoch;
        if self.epoch.is_none() || is_another {
            let fresh = if self.without == Without::Epoch { "same" } else { fresh };
            self.epoch = Some(fresh.to_owned());
            self.replid_of_epoch = self.replid;
        }
        Position { epoch: self.epoch.clone().unwrap(), seq: self.seq, id: self.last_id() }
    }

    /// Appends a record. `now`: by this server's clock, as in the whole module.
    pub(super) fn append(&mut self, node: NodeId, what: What, fresh: &str, now: Duration) -> Taken {
        let fresh = if self.without == Without::Epoch { "same" } else { fresh };
        let epoch = self.epoch.get_or_insert_with(|| fresh.to_owned()).clone();
        self.seq += 1;
        let id = format!("{}-{}", now.as_millis(), self.seq);
        let taken = Taken { epoch: epoch.clone(), seq: self.seq };
        let position = Position { epoch, seq: self.seq, id };
        self.stream.push_back(Record { position, node, what });
        taken
    }

    pub(super) fn read(&self, position: &Position) -> Vec<Record> {
        let after = |id: &str| -> (u128, u64) {
            let (millis, seq) = id.split_once('-').unwrap();
            (millis.parse().unwrap(), seq.parse().unwrap())
        };
        let last = after(&position.id);
        let first = self.stream.partition_point(|record| after(&record.position.id) <= last);
        self.stream.iter().skip(first).take(BATCH_MAX).cloned().collect()
    }

    pub(super) fn purge(
        &mut self,
        node: NodeId,
        purge: &Purge,
        fresh: &str,
        now: Duration,
    ) -> Taken {
        let later = |was: u64| micros(now).max(was + 1);
        match &purge.target {
            Target::All => self.generation = later(self.generation),
            Target::File(file) => {
                let fence = later(get(&self.fences, file, now).copied().unwrap_or(0));
                self.fences.insert(*file, Expiring(fence, now + FENCE));
                self.values.remove(file);
                self.leases.remove(file);
            }
        }
        self.append(node, What::Purge(*purge), fresh, now)
    }

    fn stamp(&self) -> Option<String> {
        self.epoch.as_ref().map(|epoch| format!("{epoch}:{}", self.generation))
    }

    fn fence(&self, file: &FileId, now: Duration) -> String {
        get(&self.fences, file, now).copied().unwrap_or(0).to_string()
    }

    /// Looks up a file. `None` if no node has joined since the server was emptied.
    pub(super) fn look(&mut self, file: &FileId, token: Token, now: Duration) -> Option<Look> {
        let ticket = Ticket { stamp: self.stamp()?, fence: self.fence(file, now), at: now };
        let value = get(&self.values, file, now).filter(|(stamp, _)| *stamp == ticket.stamp);
        let found = if let Some((_, value)) = value {
            Found::Value(value.clone())
        } else if get(&self.leases, file, now).is_none() {
            self.leases.insert(*file, Expiring(token, now + LEASE));
            Found::Lead
        } else {
            Found::Wait
        };
        Some(Look { ticket, found })
    }

    pub(super) fn keep(
        &mut self,
        file: &FileId,
        ticket: &Ticket,
        token: Token,
        (value, ttl): (Bytes, Duration),
        now: Duration,
    ) -> bool {
        self.release(file, token, now);
        let is_current = self.stamp().as_ref() == Some(&ticket.stamp);
        let fence_moved = self.fence(file, now) != ticket.fence && self.without != Without::Fence;
        let is_old =
            now.saturating_sub(ticket.at) > TICKET_AGE_MAX && self.without != Without::LeaseTime;
        if !is_current || fence_moved || is_old {
            return false;
        }
        self.values.insert(*file, Expiring((ticket.stamp.clone(), value), now + ttl));
        true
    }

    pub(super) fn release(&mut self, file: &FileId, token: Token, now: Duration) {
        if get(&self.leases, file, now) == Some(&token) {
            self.leases.remove(file);
        }
    }
}
