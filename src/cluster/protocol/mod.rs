//! Protocol of a fleet: what its nodes and their shared Redis server exchange, as small traits.
//!
//! The same protocol runs over Redis (`redis`) and, in tests, over its in-process double
//! (`tests::in_memory_bus`).
//!
//! An implementation promises what the scripts in `redis/` do. Each call takes effect at one
//! instant between its beginning and its end (linearizable), and all calls take effect in one
//! order.

mod fault;
mod ledger;
mod shared_values;
mod stream;

pub(super) use fault::{ServerFault, Unfit};
pub(super) use ledger::QuotaLedger;
pub(super) use shared_values::{
    FILL_LEASE_TIME, FenceSnapshot, LeaseToken, LookupReply, LookupResult, SharedValues,
};
pub(super) use stream::{
    Joined, NodeId, PurgeStream, READ_BATCH_MAX, Record, RecordKind, RecordNumber, RecordOrder,
    StreamPosition,
};
