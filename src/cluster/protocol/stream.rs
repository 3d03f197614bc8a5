//! Stream of purges and heartbeats: its records, and positions in it.

use std::fmt;
use std::time::Duration;

use super::fault::ServerFault;
use crate::invalidation::Purge;

/// Longest batch of one read, in records. The rest is read by the next call.
pub(in crate::cluster) const READ_BATCH_MAX: usize = 1000;

/// Id of one gateway process; random, so a restarted process has another one.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(in crate::cluster) struct NodeId(pub(in crate::cluster) u64);

impl NodeId {
    pub(in crate::cluster) fn random() -> Self {
        Self(fastrand::u64(..))
    }

    pub(in crate::cluster) fn parse(text: &str) -> Option<Self> {
        u64::from_str_radix(text, 16).ok().map(Self)
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Position in the stream of purges. The node that holds it has applied every record up to it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::cluster) struct StreamPosition {
    /// Epoch of the server's data. Under another epoch, nothing that was known before counts.
    pub(in crate::cluster) epoch: String,
    /// Sequence number of the last record. Each record has the next number.
    pub(in crate::cluster) seq: u64,
    /// Redis stream id of the same record.
    pub(in crate::cluster) id: String,
}

/// Order of a record relative to a node's position.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::cluster) enum RecordOrder {
    /// The record is applied already.
    Applied,
    /// The record is the next one.
    Next,
    /// Records are missing before this one.
    AfterGap,
}

impl StreamPosition {
    /// Returns the order of a record at `record` for a node at this position.
    pub(in crate::cluster) fn order_of(&self, record: &Self) -> RecordOrder {
        if record.epoch != self.epoch || record.seq > self.seq + 1 {
            RecordOrder::AfterGap
        } else if record.seq == self.seq + 1 {
            RecordOrder::Next
        } else {
            RecordOrder::Applied
        }
    }

    /// Returns whether the record with this number is applied.
    pub(in crate::cluster) fn includes(&self, number: &RecordNumber) -> bool {
        self.epoch == number.epoch && self.seq >= number.seq
    }
}

/// Reply to a join.
#[derive(Clone, Debug)]
pub(in crate::cluster) struct Joined {
    /// Position of the last record in the stream.
    pub(in crate::cluster) end: StreamPosition,
    /// Nodes that wrote a record in the last three seconds. A node can be listed more than once.
    pub(in crate::cluster) nodes: Vec<NodeId>,
}

/// Entry of the stream.
#[derive(Clone, Debug)]
pub(in crate::cluster) struct Record {
    pub(in crate::cluster) position: StreamPosition,
    pub(in crate::cluster) node: NodeId,
    pub(in crate::cluster) kind: RecordKind,
}

/// Number that the server gave to a record.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::cluster) struct RecordNumber {
    pub(in crate::cluster) epoch: String,
    pub(in crate::cluster) seq: u64,
}

/// Kind of a record, with its content.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::cluster) enum RecordKind {
    /// The node is alive. `sent`: the node's own monotonic time.
    Heartbeat { sent: Duration },
    /// The node has shut down in order.
    Leave,
    /// A purge that the server has made final.
    Purge(Purge),
    /// An entry that no node wrote.
    Stray,
    /// A record of a kind that this version does not know. It may be a purge.
    Unknown,
}

/// Stream of purges and heartbeats.
pub(in crate::cluster) trait PurgeStream: Send + Sync + 'static {
    /// Connects anew and returns the current end of the stream. Calls on older connections fail.
    fn join(&self) -> impl Future<Output = Result<Joined, ServerFault>> + Send;

    /// Returns the records after `position`, in order, at most [`READ_BATCH_MAX`]. Waits one second
    /// for the first.
    fn read(
        &self,
        position: &StreamPosition,
    ) -> impl Future<Output = Result<Vec<Record>, ServerFault>> + Send;

    /// Appends a record that purges nothing. Returns the server's clock, in Unix time.
    fn append(
        &self,
        kind: RecordKind,
    ) -> impl Future<Output = Result<Duration, ServerFault>> + Send;

    /// Makes a purge final for every later lookup on the server, and appends it to the stream.
    fn purge(
        &self,
        purge: &Purge,
    ) -> impl Future<Output = Result<RecordNumber, ServerFault>> + Send;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(epoch: &str, seq: u64) -> StreamPosition {
        StreamPosition { epoch: epoch.to_owned(), seq, id: format!("{seq}-0") }
    }

    #[test]
    fn a_record_is_applied_next_or_after_a_gap() {
        let position = at("a", 7);
        for (record, expected) in [
            (at("a", 6), RecordOrder::Applied),
            (at("a", 7), RecordOrder::Applied),
            (at("a", 8), RecordOrder::Next),
            (at("a", 9), RecordOrder::AfterGap),
            (at("b", 8), RecordOrder::AfterGap),
            (at("b", 1), RecordOrder::AfterGap),
        ] {
            assert_eq!(position.order_of(&record), expected, "{record:?}");
        }
    }
}
