//! Quotas of callers that the nodes of a fleet share.

use std::sync::Arc;
use std::time::Duration;

use super::lease_map::LeaseMap;
use super::lease_queue::{LeaseQueue, SharedKey};
use super::quota_lease::QuotaLease;
use super::terms::{Credit, SpendOutcome};
use crate::caller::Subject;
use crate::limit::quota::{Limit, Quota, QuotaStatus, Throttled};

/// Lease queue of the fleet, and the leases of token subjects.
pub(in crate::limit) struct FleetQuotas {
    queue: Arc<LeaseQueue>,
    subjects: LeaseMap<Subject>,
}

impl FleetQuotas {
    /// Creates the shared quotas. At most `capacity` token subjects have a lease.
    pub(in crate::limit) fn new(queue: Arc<LeaseQueue>, capacity: usize) -> Self {
        Self { queue, subjects: LeaseMap::new(capacity) }
    }

    /// Returns whether leases may be spent now.
    pub(in crate::limit) fn is_available(&self, now: Duration) -> bool {
        self.queue.is_available(now)
    }

    /// Returns the lease of a token subject; `None` if there are too many.
    pub(in crate::limit) fn subject(
        &self,
        subject: Subject,
        quota: Quota,
        now: Duration,
    ) -> Option<Arc<QuotaLease>> {
        self.subjects.get(subject, quota, now)
    }

    /// Spends a cell of a shared quota. Requests more cells from the ledger if needed.
    pub(in crate::limit) fn spend(
        &self,
        key: impl FnOnce() -> SharedKey,
        quota: Quota,
        lease: &Arc<QuotaLease>,
        now: Duration,
    ) -> Result<QuotaStatus, Throttled> {
        let terms = self.queue.terms(quota, Credit::Allowed);
        let (outcome, needs_more) = lease.spend(terms, now);
        if needs_more {
            self.queue.request(key, terms, lease);
        }
        let limit = Limit::Caller;
        match outcome {
            SpendOutcome::Spent { left } => Ok(QuotaStatus { limit, quota, left }),
            SpendOutcome::Refused { wait } => Err(Throttled { limit, quota, wait }),
        }
    }
}
