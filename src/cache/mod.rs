//! Shared response cache for version lists, with request collapsing and invalidation.
//!
//! It stores one response per file, under the fileId of the request. It does not fetch: a fill is a
//! handle that its holder completes with a response or an error.
//!
//! - `cache`: look up, register a fill, finish it, replace, invalidate. It is the only file that locks
//!   a shard, and it holds the argument why an invalidation is final.
//! - `capacity`: storage in moka, its byte limits, and the count of evictions.
//! - `fill`: joining a fill, and the handle that completes it; `in_flight`: the shared state of a
//!   fill, and its waiters.
//! - `freshness`: which stored response may be reused at `now`; pure.
//! - `response`: a stored response, immutable; `elements`: its versions one by one; `codings`: its
//!   body in `br` and `gzip`.
//! - `purge_epochs`: purges of everything; `invalidations`: the last invalidation of each file.
//! - `status`: `Cache-Status` (RFC 9211).

#[expect(clippy::module_inception, reason = "named after what it holds, like the other files")]
mod cache;
mod capacity;
mod codings;
mod elements;
mod fill;
mod freshness;
mod in_flight;
mod invalidations;
mod purge_epochs;
mod response;
mod status;
#[cfg(test)]
mod tests;

pub use cache::{Cache, CacheSettings, Lookup};
pub use codings::Codings;
pub use elements::{Element, Privacy};
pub use fill::{Fill, Join};
pub use freshness::{Freshness, FreshnessInputs, FreshnessSettings, Origin, Reuse, StaleWindows};
pub use in_flight::{FillEnd, Finished, Waiter};
pub use invalidations::{Invalidation, PurgeMode, Target};
pub use response::{Kind, StoredResponse};
pub use status::{CacheStatus, Forwarded, FwdReason};
