//! Quotas of callers that the nodes of a fleet share.

use std::sync::Arc;
use std::time::Duration;

use super::desk::{Desk, SharedKey};
use super::quota::{Limit, Quota, Standing, Throttled};
use super::share::{Credit, Share, Spent};
use super::shares::Shares;
use crate::caller::Subject;

/// Lease queue of the fleet, and the leases of token subjects.
pub(super) struct Fleet {
    pub(super) desk: Arc<Desk>,
    pub(super) subjects: Shares<Subject>,
}

impl Fleet {
    /// Spends a cell of a shared quota. Requests more cells from the ledger if needed.
    pub(super) fn spend(
        &self,
        key: impl FnOnce() -> SharedKey,
        quota: Quota,
        share: &Arc<Share>,
        now: Duration,
    ) -> Result<Standing, Throttled> {
        let terms = self.desk.terms(quota, Credit::Allowed);
        let (spent, more) = share.spend(terms, now);
        if more {
            self.desk.claim(key, terms, share);
        }
        let limit = Limit::Caller;
        match spent {
            Spent::Cell { left } => Ok(Standing { limit, quota, left }),
            Spent::Not { wait } => Err(Throttled { limit, quota, wait }),
        }
    }
}
