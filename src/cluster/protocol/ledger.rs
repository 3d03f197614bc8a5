//! Ledger of the quotas that the fleet shares.

use super::fault::ServerFault;
use crate::limit::{LeaseGrant, LeaseRequest};

/// Ledger of the quotas that the fleet shares.
pub(in crate::cluster) trait QuotaLedger: Send + Sync + 'static {
    /// Debits the cells of all requests. Returns one grant for each request, in order.
    fn debit(
        &self,
        requests: &[LeaseRequest],
    ) -> impl Future<Output = Result<Vec<LeaseGrant>, ServerFault>> + Send;
}
