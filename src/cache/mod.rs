//! Stored version lists: what is kept, what may be reused, and who waits for what.
//!
//! One entry per file, keyed by the id in the request. The room knows nothing of fetching: a
//! fill is a ticket that somebody else redeems with a response or a failure.
//!
//! - [`entry`]: a stored response, immutable once made; `elements`: its versions one by one;
//!   [`codings`]: its body compressed.
//! - [`freshness`]: what may be reused when; pure, takes `now`.
//! - [`fill`]: request collapsing; a fill, who leads it, who waits.
//! - [`store`]: all of it together, under one lock per shard, so that an invalidation is final.
//!   `shard`: what a lock is over; `invalidate`: what ends early (`purges`: of everything; `recent`:
//!   which files lately); `housekeeping`: room for what is new, and the end of what is old.
//! - `shelf`: the responses of one shard, and who of them leaves first (`bound`, `slots`, `ghosts`).
//! - [`status`]: `Cache-Status` as RFC 9211 has it.

mod bound;
pub mod codings;
mod elements;
pub mod entry;
pub mod fill;
pub mod freshness;
mod ghosts;
mod housekeeping;
mod invalidate;
mod purges;
mod recent;
mod shard;
mod shelf;
mod slots;
pub mod status;
pub mod store;
#[cfg(test)]
mod tests;

pub use codings::Codings;
pub use elements::{Element, Privacy};
pub use entry::{Kind, StoredResponse};
pub use fill::{Fill, FillEnd, Origin, Waiter};
pub use freshness::{Circumstances, Freshness, FreshnessSettings, Reuse, Windows};
pub use invalidate::{Force, Target};
pub use recent::Invalidated;
pub use status::{CacheStatus, Forwarded, FwdReason};
pub use store::{Cache, CacheSettings, Lookup, Seat};
