//! In-process double of Redis that does what the scripts do, for simulations.
//!
//! The tests in `conformance` compare it with a real server.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;

use crate::cache::Target;
use crate::cluster::protocol::{
    FILL_LEASE_TIME, FenceSnapshot, LeaseToken, LookupReply, LookupResult, NodeId, READ_BATCH_MAX,
    Record, RecordKind, RecordNumber, StreamPosition,
};
use crate::file_id::FileId;
use crate::invalidation::Purge;

/// Lifetime of a fence; the same figure as in `purge.lua`.
const FENCE: Duration = Duration::from_mins(1);
/// Longest age of a lookup after which a value may be stored; the same figure as in `keep.lua`.
const LOOKUP_AGE_MAX: Duration = Duration::from_secs(30);

/// Rule of the protocol that a simulation switches off, to show that the promise breaks without it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::cluster) enum DisabledRule {
    None,
    /// A restarted server, or another one in its place, keeps the same epoch.
    Epoch,
    /// A value is stored although its file was purged after the lookup.
    Fence,
    /// A value may be stored at any time after its lookup.
    LeaseTime,
    /// A node that comes back resumes at the end of the stream, without the records between.
    Replay,
}

/// Data on the server. A clone is its state at one time, or a replica that lags.
#[derive(Clone, Debug)]
pub(in crate::cluster) struct InMemoryBus {
    pub(in crate::cluster) disabled: DisabledRule,
    epoch: Option<String>,
    replid: u64,
    replid_of_epoch: u64,
    seq: u64,
    generation: u64,
    stream: VecDeque<Record>,
    fences: HashMap<FileId, Expiring<u64>>,
    values: HashMap<FileId, Expiring<(String, Bytes)>>,
    leases: HashMap<FileId, Expiring<LeaseToken>>,
}

/// A value and the time at which it expires.
#[derive(Clone, Debug)]
struct Expiring<T>(T, Duration);

fn get<'a, T>(
    entries: &'a HashMap<FileId, Expiring<T>>,
    file: &FileId,
    now: Duration,
) -> Option<&'a T> {
    entries.get(file).filter(|Expiring(_, until)| *until > now).map(|Expiring(value, _)| value)
}

fn micros(now: Duration) -> u64 {
    u64::try_from(now.as_micros()).unwrap()
}

impl InMemoryBus {
    pub(in crate::cluster) fn new(disabled: DisabledRule) -> Self {
        Self {
            disabled,
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
    pub(in crate::cluster) fn restarted(self, replid: u64) -> Self {
        Self { replid, ..self }
    }

    pub(in crate::cluster) fn emptied(&self) -> Self {
        Self { replid: self.replid, ..Self::new(self.disabled) }
    }

    pub(in crate::cluster) fn trim(&mut self, length: usize) {
        while self.stream.len() > length {
            self.stream.pop_front();
        }
    }

    /// Returns the stream id of the last record.
    pub(in crate::cluster) fn last_id(&self) -> String {
        self.stream.back().map_or("0-0".to_owned(), |last| last.position.id.clone())
    }

    pub(in crate::cluster) fn join(&mut self, fresh: &str) -> StreamPosition {
        let is_another =
            self.replid_of_epoch != self.replid && self.disabled != DisabledRule::Epoch;
        if self.epoch.is_none() || is_another {
            let fresh = if self.disabled == DisabledRule::Epoch { "same" } else { fresh };
            self.epoch = Some(fresh.to_owned());
            self.replid_of_epoch = self.replid;
        }
        StreamPosition { epoch: self.epoch.clone().unwrap(), seq: self.seq, id: self.last_id() }
    }

    /// Appends a record. `now`: by this server's clock, as in the whole module.
    pub(in crate::cluster) fn append(
        &mut self,
        node: NodeId,
        kind: RecordKind,
        fresh: &str,
        now: Duration,
    ) -> RecordNumber {
        let fresh = if self.disabled == DisabledRule::Epoch { "same" } else { fresh };
        let epoch = self.epoch.get_or_insert_with(|| fresh.to_owned()).clone();
        self.seq += 1;
        let id = format!("{}-{}", now.as_millis(), self.seq);
        let number = RecordNumber { epoch: epoch.clone(), seq: self.seq };
        let position = StreamPosition { epoch, seq: self.seq, id };
        self.stream.push_back(Record { position, node, kind });
        number
    }

    pub(in crate::cluster) fn read(&self, position: &StreamPosition) -> Vec<Record> {
        let after = |id: &str| -> (u128, u64) {
            let (millis, seq) = id.split_once('-').unwrap();
            (millis.parse().unwrap(), seq.parse().unwrap())
        };
        let last = after(&position.id);
        let first = self.stream.partition_point(|record| after(&record.position.id) <= last);
        self.stream.iter().skip(first).take(READ_BATCH_MAX).cloned().collect()
    }

    pub(in crate::cluster) fn purge(
        &mut self,
        node: NodeId,
        purge: &Purge,
        fresh: &str,
        now: Duration,
    ) -> RecordNumber {
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
        self.append(node, RecordKind::Purge(*purge), fresh, now)
    }

    fn stamp(&self) -> Option<String> {
        self.epoch.as_ref().map(|epoch| format!("{epoch}:{}", self.generation))
    }

    fn fence(&self, file: &FileId, now: Duration) -> String {
        get(&self.fences, file, now).copied().unwrap_or(0).to_string()
    }

    /// Looks up a file. `None` if no node has joined since the server was emptied.
    pub(in crate::cluster) fn look_up(
        &mut self,
        file: &FileId,
        token: LeaseToken,
        now: Duration,
    ) -> Option<LookupReply> {
        let snapshot =
            FenceSnapshot { stamp: self.stamp()?, fence: self.fence(file, now), at: now };
        let value = get(&self.values, file, now).filter(|(stamp, _)| *stamp == snapshot.stamp);
        let result = if let Some((_, value)) = value {
            LookupResult::Value(value.clone())
        } else if get(&self.leases, file, now).is_none() {
            self.leases.insert(*file, Expiring(token, now + FILL_LEASE_TIME));
            LookupResult::LeaseGranted
        } else {
            LookupResult::LeaseTaken
        };
        Some(LookupReply { snapshot, result })
    }

    pub(in crate::cluster) fn keep(
        &mut self,
        file: &FileId,
        snapshot: &FenceSnapshot,
        token: LeaseToken,
        (value, ttl): (Bytes, Duration),
        now: Duration,
    ) -> bool {
        self.release(file, token, now);
        let is_current = self.stamp().as_ref() == Some(&snapshot.stamp);
        let fence_moved =
            self.fence(file, now) != snapshot.fence && self.disabled != DisabledRule::Fence;
        let is_old = now.saturating_sub(snapshot.at) > LOOKUP_AGE_MAX
            && self.disabled != DisabledRule::LeaseTime;
        if !is_current || fence_moved || is_old {
            return false;
        }
        self.values.insert(*file, Expiring((snapshot.stamp.clone(), value), now + ttl));
        true
    }

    pub(in crate::cluster) fn release(&mut self, file: &FileId, token: LeaseToken, now: Duration) {
        if get(&self.leases, file, now) == Some(&token) {
            self.leases.remove(file);
        }
    }
}
