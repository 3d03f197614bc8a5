//! Quotas that the nodes of a fleet share: each node leases cells from the fleet's ledger.
//!
//! - `quota_lease`: one node's lease of one quota; `leased_cells`: its cells; `ledger_account`:
//!   what it owes; `terms`: requests and grants as plain values.
//! - `lease_queue`: lease requests that wait for the next batch to the ledger.
//! - `fleet_quotas`: shared quotas of callers; `lease_map`: leases of very many callers.

mod fleet_quotas;
mod lease_map;
mod lease_queue;
mod leased_cells;
mod ledger_account;
mod quota_lease;
mod terms;

pub(super) use fleet_quotas::FleetQuotas;
pub use lease_queue::{LeaseQueue, LeaseRequest, SharedKey};
pub use quota_lease::QuotaLease;
pub use terms::{CellCounts, Credit, LeaseGrant, LeaseTerms, SpendOutcome};

#[cfg(test)]
pub(crate) mod tests;
