//! Interface of the Redis server that a fleet shares, as small traits.
//!
//! The same protocol runs over Redis (`redis`) and over its in-process double (`twin`).
//!
//! An implementation promises what the scripts in `redis/` do. Each call takes effect at one
//! instant between its beginning and its end (linearizable), and all calls take effect in one
//! order.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;

use crate::file_id::FileId;
use crate::invalidation::Purge;
use crate::limit::{LeaseGrant, LeaseRequest};

/// Id of one gateway process; random, so a restarted process has another one.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) struct NodeId(pub(super) u64);

impl NodeId {
    pub(super) fn random() -> Self {
        Self(fastrand::u64(..))
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
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
pub(super) struct Position {
    /// Epoch of the server's data. Under another epoch, nothing that was known before counts.
    pub(super) epoch: String,
    /// Sequence number of the last record. Each record has the next number.
    pub(super) seq: u64,
    /// Redis stream id of the same record.
    pub(super) id: String,
}

/// Response to a join.
#[derive(Clone, Debug)]
pub(super) struct Joined {
    /// Position of the last record in the stream.
    pub(super) stands: Position,
    /// Nodes that wrote a record in the last three seconds. A node can be listed more than once.
    pub(super) nodes: Vec<NodeId>,
}

/// Entry of the stream.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) position: Position,
    pub(super) node: NodeId,
    pub(super) what: What,
}

/// Place that the server gave to a record.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Taken {
    pub(super) epoch: String,
    pub(super) seq: u64,
}

/// Content of a record.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum What {
    /// The node is alive. `sent`: the node's own monotonic time.
    Beat { sent: Duration },
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
pub(super) trait Stream: Send + Sync + 'static {
    /// Connects anew and returns the current end of the stream. Calls on older connections fail.
    fn join(&self) -> impl Future<Output = Result<Joined, ServerFault>> + Send;

    /// Returns the records after `position`, in order, at most [`BATCH_MAX`]. Waits one second for
    /// the first.
    fn read(
        &self,
        position: &Position,
    ) -> impl Future<Output = Result<Vec<Record>, ServerFault>> + Send;

    /// Appends a record that purges nothing. Returns the server's clock, in Unix time.
    fn tell(&self, what: What) -> impl Future<Output = Result<Duration, ServerFault>> + Send;

    /// Makes a purge final for every later lookup on the server, and appends it to the stream.
    fn purge(&self, purge: &Purge) -> impl Future<Output = Result<Taken, ServerFault>> + Send;
}

/// Longest batch of one read, in records. The rest is read by the next call.
pub(super) const BATCH_MAX: usize = 1000;

/// State of a file at the time of a lookup. A value may be stored only while this state is
/// unchanged.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Ticket {
    /// Epoch of the server, and time of the last purge of everything.
    pub(super) stamp: String,
    /// Fence of the file: time of its last purge, in microseconds by the server's clock; `0` if
    /// none is known.
    pub(super) fence: String,
    /// Time of the lookup, by the server's clock.
    pub(super) at: Duration,
}

impl Ticket {
    /// Returns whether the last purge of the file was at least `settle` before this lookup, so that
    /// the upstream knows of the change. A node may look up before it hears of the purge.
    pub(super) fn is_settled(&self, settle: Duration) -> bool {
        let purged = self.fence.parse().map_or(Duration::MAX, Duration::from_micros);
        self.at.checked_sub(purged).is_some_and(|since| since >= settle)
    }
}

/// Response to a lookup in the second level.
#[derive(Clone, Debug)]
pub(super) struct Look {
    pub(super) ticket: Ticket,
    pub(super) found: Found,
}

/// Result of a lookup in the second level.
#[derive(Clone, Debug)]
pub(super) enum Found {
    /// The stored value, as bytes.
    Value(Bytes),
    /// No value is stored. The node that looked up holds the lease to fetch it.
    Lead,
    /// No value is stored. Another node holds the lease.
    Wait,
}

/// Random token that identifies the holder of a fill lease.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Token(pub(super) u64);

/// Lifetime of a fill lease whose holder does not give it back.
pub(super) const LEASE: Duration = Duration::from_secs(3);

/// Second level of the cache: values by file.
pub(super) trait Values: Send + Sync + 'static {
    /// Looks up a file. If there is no value and no lease, gives the lease to `token`.
    fn look(
        &self,
        file: &FileId,
        token: Token,
    ) -> impl Future<Output = Result<Look, ServerFault>> + Send;

    /// Stores a value and gives the lease back. Returns whether the value was stored: it is not if
    /// a purge came after the ticket, or if the ticket is more than 30 seconds old.
    fn keep(
        &self,
        file: &FileId,
        ticket: &Ticket,
        token: Token,
        value: Bytes,
        ttl: Duration,
    ) -> impl Future<Output = Result<bool, ServerFault>> + Send;

    /// Gives a lease back, if `token` still holds it.
    fn release(
        &self,
        file: &FileId,
        token: Token,
    ) -> impl Future<Output = Result<(), ServerFault>> + Send;
}

/// Ledger of the quotas that the fleet shares.
pub(super) trait Ledger: Send + Sync + 'static {
    /// Debits the cells of all requests. Returns one grant for each request, in order.
    fn debit(
        &self,
        requests: &[LeaseRequest],
    ) -> impl Future<Output = Result<Vec<LeaseGrant>, ServerFault>> + Send;
}

/// Reason why a call to the server failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum ServerFault {
    #[error("it cannot be reached, or failed: {0}")]
    Failed(Box<dyn std::error::Error + Send + Sync>),
    #[error("there is no connection to it")]
    NotConnected,
    #[error(transparent)]
    Refused(#[from] Unfit),
    #[error("it did not answer in time")]
    Timeout,
    #[error("its response cannot be read: {0}")]
    Unreadable(&'static str),
    #[error("another server has taken its place")]
    Replaced,
    #[error("its stream delivers no record, not even this gateway's own heartbeat")]
    Silent,
}

/// Reason why a server is not fit to be shared by a fleet.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum Unfit {
    #[error(
        "it is a Redis Cluster, whose parts fail one by one; use one primary, with replicas if \
         you like"
    )]
    Cluster,
    #[error(
        "it may evict keys (maxmemory-policy {policy}), and with them the fences of purges; set \
         maxmemory-policy noeviction"
    )]
    Evicts { policy: String },
    #[error("it is a replica; name the primary")]
    Replica,
    #[error("it is of version {version}; Redis 7 or Valkey is needed")]
    Version { version: String },
}
