//! Terms, requests and grants of quota leases, as plain values.

use std::time::Duration;

use crate::limit::quota::Quota;

/// Time whose cells all nodes together lease in advance: `rate` x 200 ms. It covers the time
/// between two answers of the ledger, and limits what can be spent late.
const IN_ADVANCE: Duration = Duration::from_millis(200);
/// Least credit of a node, in cells, while any cell of the quota is left as far as known.
pub(super) const CREDIT_MIN: u32 = 2;

/// Terms of a lease at one time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LeaseTerms {
    pub quota: Quota,
    /// Number of nodes that share the quota.
    pub nodes: u32,
    pub credit: Credit,
}

/// Whether a node may spend cells before they are debited.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Credit {
    Allowed,
    None,
}

/// Result of spending a cell.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SpendOutcome {
    /// One cell was spent. `left`: cells that could be spent now, as far as this node knows.
    Spent { left: u32 },
    /// The quota is used up, or this node has no cell yet. `wait`: time until there may be one.
    Refused { wait: Duration },
}

/// Cells that one lease request asks the ledger to debit.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct CellCounts {
    /// Cells to lease in advance, as far as there are any.
    pub requested: u32,
    /// Cells that were spent already. A negative number returns cells that were not needed.
    pub owed: i64,
    /// Cells that `requested` must leave in the ledger for more urgent calls.
    pub reserve: u32,
}

/// The ledger's answer to a lease request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LeaseGrant {
    /// Cells that the node may spend from now on.
    pub granted: u32,
    /// Cells that are left in the ledger.
    pub left: u32,
    /// Time until the ledger would grant one more cell.
    pub wait: Duration,
}

impl LeaseTerms {
    /// Returns the number of cells that a node leases in advance.
    pub(super) fn in_advance(self) -> u32 {
        let of_all = IN_ADVANCE.as_nanos() / self.quota.interval().as_nanos().max(1);
        let of_node = u32::try_from(of_all / u128::from(self.nodes.max(1))).unwrap_or(u32::MAX);
        // Without credit, a node that leased nothing could not spend anything.
        let least = u32::from(self.credit == Credit::None);
        of_node.clamp(least, self.quota.burst.get())
    }

    /// Returns the number of cells that may be spent before they are debited, if `left` are left.
    pub(super) fn credit(self, left: u32) -> u32 {
        match self.credit {
            Credit::None => 0,
            Credit::Allowed if left == 0 => 0,
            Credit::Allowed => {
                (left / self.nodes.max(1)).max(CREDIT_MIN).min(self.quota.burst.get())
            }
        }
    }
}
