//! Rate limiting of callers (GCRA): how many requests each caller may send.
//!
//! It runs after the cache lookup and before any fill. So a refused request costs a lookup, and no
//! upstream call. Hits count too.
//!
//! The arithmetic is governor's, and so are its terms. Each request is one *cell*. A *quota* is a
//! burst plus the interval at which one cell is replenished. A cell that arrives too early does not
//! conform. This module owns the policy: which caller has which quota, and how much state is kept.
//!
//! - `limits`: rate limiter of all callers; `caller_limiter`: limiter of a configured caller.
//! - `settings`, `quota`: configured quotas, and the status that is reported about them.
//! - `limiter`: limiter of one quota; `bounded_store`: its bounded state for very many keys.
//! - `single_limiter`: limiter of a single key; `bounded_map`: bounded map with eviction.
//! - `subscriber`: address prefix that counts as one caller.
//! - `keyed_permits`: limit of concurrent holders of one key.
//! - `line_limit`: limit of log lines that any client can cause.
//! - `lease`: the part of a shared quota that one node of a fleet holds.

mod bounded_map;
mod bounded_store;
mod caller_limiter;
mod keyed_permits;
mod lease;
mod limiter;
mod limits;
mod line_limit;
mod quota;
mod settings;
mod single_limiter;
mod subscriber;

pub use keyed_permits::{KeyedPermit, KeyedPermits};
#[cfg(test)]
pub(crate) use lease::tests::in_memory_ledger::InMemoryLedger;
pub use lease::{
    CellCounts, Credit, LeaseGrant, LeaseQueue, LeaseRequest, LeaseTerms, QuotaLease, SharedKey,
    SpendOutcome,
};
pub use limits::{Limits, WEBHOOK_QUOTA};
pub use line_limit::LineLimit;
pub use quota::{Limit, Quota, QuotaStatus, Throttled, return_wait, whole_millis};
pub use settings::{CallerQuota, Enforcement, LimitSettings};
pub use single_limiter::SingleLimiter;
pub use subscriber::{Ipv6Limits, Subscriber};
