//! What a node asks of the server that the fleet shares: small traits, so that the same protocol
//! runs over Redis and over a twin in the same process (`twin`).
//!
//! Whoever implements them promises what the scripts in `redis/` do: each call happens at once, at
//! some instant between its beginning and its end, and all of them in one order.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;

use crate::file_id::FileId;
use crate::invalidation::Purge;
use crate::limit::{Claim, Grant};

/// One gateway, for as long as its process lives.
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

/// How far of the stream somebody knows everything.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Position {
    /// Of what server, and since when: with another one nothing that was known counts.
    pub(super) epoch: String,
    /// Of the last record. Each has the next number.
    pub(super) seq: u64,
    /// Of the same record, as the server finds it.
    pub(super) id: String,
}

/// What a node finds when it connects.
#[derive(Clone, Debug)]
pub(super) struct Joined {
    pub(super) stands: Position,
    /// Who told something in the last seconds.
    pub(super) nodes: Vec<NodeId>,
}

/// One entry of the stream.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) position: Position,
    pub(super) node: NodeId,
    pub(super) what: What,
}

/// Where a record has its place.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Taken {
    pub(super) epoch: String,
    pub(super) seq: u64,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum What {
    /// The node is there. `sent`: by its own clock.
    Beat {
        sent: Duration,
    },
    /// The node has ended in order.
    Leave,
    Purge(Purge),
    /// Not of any node.
    Stray,
    /// Of a node that knows more than this one. It may be a purge.
    Unknown,
}

/// The stream of invalidations, and the signs of life between them.
pub(super) trait Stream: Send + Sync + 'static {
    /// Connects anew, and says where the stream stands. Calls of before fail.
    fn join(&self) -> impl Future<Output = Result<Joined, ServerFault>> + Send;

    /// The records after `position`, in order, at most [`BATCH_MAX`]; waits a second for one.
    fn read(
        &self,
        position: &Position,
    ) -> impl Future<Output = Result<Vec<Record>, ServerFault>> + Send;

    /// Puts a record in that purges nothing. The server's clock.
    fn tell(&self, what: What) -> impl Future<Output = Result<Duration, ServerFault>> + Send;

    /// Makes a purge final for everyone who asks the server from now on, and puts it in the
    /// stream.
    fn purge(&self, purge: &Purge) -> impl Future<Output = Result<Taken, ServerFault>> + Send;
}

/// More records are read in another call.
pub(super) const BATCH_MAX: usize = 1000;

/// What was true of a file when the server was asked, which a value of it depends on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Ticket {
    /// Of the epoch, and of the last purge of everything.
    pub(super) stamp: String,
    /// Of the last purge of the file: when it was, in microseconds by the server's clock.
    pub(super) fence: String,
    /// By the server's clock.
    pub(super) at: Duration,
}

impl Ticket {
    /// Whether the file was last purged longer ago than the upstream needs to know of it. A node
    /// may look here before it hears of the purge.
    pub(super) fn is_settled(&self, settle: Duration) -> bool {
        let purged = self.fence.parse().map_or(Duration::MAX, Duration::from_micros);
        self.at.checked_sub(purged).is_some_and(|since| since >= settle)
    }
}

#[derive(Clone, Debug)]
pub(super) struct Look {
    pub(super) ticket: Ticket,
    pub(super) found: Found,
}

#[derive(Clone, Debug)]
pub(super) enum Found {
    Value(Bytes),
    /// There is none, and whoever asked has the lease to fetch it.
    Lead,
    /// There is none, and somebody else has the lease.
    Wait,
}

/// Who holds a lease.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Token(pub(super) u64);

/// How long a lease is somebody's who never comes back.
pub(super) const LEASE: Duration = Duration::from_secs(3);

/// The second level: values by file.
pub(super) trait Values: Send + Sync + 'static {
    fn look(
        &self,
        file: &FileId,
        token: Token,
    ) -> impl Future<Output = Result<Look, ServerFault>> + Send;

    /// Stores a value if nothing was purged since its ticket, and the ticket is not too old; gives
    /// the lease back. Whether it was stored.
    fn keep(
        &self,
        file: &FileId,
        ticket: &Ticket,
        token: Token,
        value: Bytes,
        ttl: Duration,
    ) -> impl Future<Output = Result<bool, ServerFault>> + Send;

    /// Gives a lease back, if it is still held.
    fn release(
        &self,
        file: &FileId,
        token: Token,
    ) -> impl Future<Output = Result<(), ServerFault>> + Send;
}

/// The ledger of quotas that the fleet shares.
pub(super) trait Ledger: Send + Sync + 'static {
    /// Debits all claims; an answer for each, in order.
    fn debit(
        &self,
        claims: &[Claim],
    ) -> impl Future<Output = Result<Vec<Grant>, ServerFault>> + Send;
}

/// Why the server did not do what it was asked.
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
    #[error("its answer cannot be understood: {0}")]
    Unreadable(&'static str),
    #[error("it has been replaced by another one")]
    Replaced,
    #[error("nothing comes through its stream")]
    Silent,
}

/// Why a server cannot be what a fleet shares.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum Unfit {
    #[error(
        "it is a Redis Cluster, whose parts fail one by one; use one primary, with replicas if \
         you like"
    )]
    Cluster,
    #[error(
        "it may evict keys (maxmemory-policy {policy}), and with them what was purged; set \
         maxmemory-policy noeviction"
    )]
    Evicts { policy: String },
    #[error("it is a replica; name the primary")]
    Replica,
    #[error("it is of version {version}; Redis 7 or Valkey is needed")]
    Version { version: String },
}
