//! Second level of the cache on the server: values by file, fill leases, and fences of purges.

use std::time::Duration;

use bytes::Bytes;

use super::fault::ServerFault;
use crate::file_id::FileId;

/// Lifetime of a fill lease whose holder does not give it back.
pub(in crate::cluster) const FILL_LEASE_TIME: Duration = Duration::from_secs(3);

/// Purge state of a file at the time of a lookup. A value may be stored only while this state is
/// unchanged.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::cluster) struct FenceSnapshot {
    /// Epoch of the server, and time of the last purge of everything.
    pub(in crate::cluster) stamp: String,
    /// Fence of the file: time of its last purge, in microseconds by the server's clock; `0` if
    /// none is known.
    pub(in crate::cluster) fence: String,
    /// Time of the lookup, by the server's clock.
    pub(in crate::cluster) at: Duration,
}

impl FenceSnapshot {
    /// Returns whether the last purge of the file was at least `settle` before this lookup, so that
    /// the upstream knows of the change. A node may look up before it receives the purge.
    pub(in crate::cluster) fn is_settled(&self, settle: Duration) -> bool {
        let purged = self.fence.parse().map_or(Duration::MAX, Duration::from_micros);
        self.at.checked_sub(purged).is_some_and(|since| since >= settle)
    }
}

/// Reply to a lookup in the second level.
#[derive(Clone, Debug)]
pub(in crate::cluster) struct LookupReply {
    pub(in crate::cluster) snapshot: FenceSnapshot,
    pub(in crate::cluster) result: LookupResult,
}

/// Result of a lookup in the second level.
#[derive(Clone, Debug)]
pub(in crate::cluster) enum LookupResult {
    /// The stored value, as bytes.
    Value(Bytes),
    /// No value is stored. The node that looked up holds the lease to fetch it.
    LeaseGranted,
    /// No value is stored. Another node holds the lease.
    LeaseTaken,
}

/// Random token that identifies the holder of a fill lease.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::cluster) struct LeaseToken(pub(in crate::cluster) u64);

/// Second level of the cache: values by file.
pub(in crate::cluster) trait SharedValues: Send + Sync + 'static {
    /// Looks up a file. If there is no value and no lease, gives the lease to `token`.
    fn look_up(
        &self,
        file: &FileId,
        token: LeaseToken,
    ) -> impl Future<Output = Result<LookupReply, ServerFault>> + Send;

    /// Stores a value and gives the lease back. Returns whether the value was stored: it is not if
    /// a purge came after the snapshot, or if the snapshot is more than 30 seconds old.
    fn keep(
        &self,
        file: &FileId,
        snapshot: &FenceSnapshot,
        token: LeaseToken,
        value: Bytes,
        ttl: Duration,
    ) -> impl Future<Output = Result<bool, ServerFault>> + Send;

    /// Gives a lease back, if `token` still holds it.
    fn release(
        &self,
        file: &FileId,
        token: LeaseToken,
    ) -> impl Future<Output = Result<(), ServerFault>> + Send;
}
