//! One node of the fleet: its link to the stream of purges, its view of the second level, and its
//! client of the quota ledger.
//!
//! - `link`: connection to the stream; `applied_state`: position up to which its records are
//!   applied; `members`: nodes of the fleet; `outbox`: purges that wait to be published;
//!   `connection_log`: log lines.
//! - `link_health`: health of the link, for the rest of the gateway.
//! - `second_level`: cache that the fleet shares; `shared_value`: encoding of its values;
//!   `second_level_outcome`: label of its metrics.
//! - `ledger_client`: batches of quota lease requests.

mod applied_state;
mod connection_log;
mod ledger_client;
mod link;
mod link_health;
mod members;
mod outbox;
mod second_level;
mod second_level_outcome;
mod shared_value;

pub(super) use ledger_client::run_ledger_client;
pub(super) use link::Link;
#[cfg(test)]
pub(super) use link_health::CUT_OFF_AFTER;
pub use link_health::ClusterState;
pub(super) use link_health::LinkHealth;
pub(super) use second_level::SecondLevel;
pub use second_level::{FillLimits, SharedLookup, SharedResponse, StorePermit};
pub use second_level_outcome::SecondLevelOutcome;
pub use shared_value::SharedValue;
