//! Call budget of one gateway in a fleet: cells leased from the fleet's ledger.

use std::sync::Arc;
use std::time::Duration;

use crate::limit::{Credit, LeaseQueue, LeaseTerms, Quota, QuotaLease, SharedKey, SpendOutcome};

/// Call budget of a fleet: the other gateways spend from it, too.
pub(super) struct SharedBudget {
    pub(super) lease_queue: Arc<LeaseQueue>,
    pub(super) lease: Arc<QuotaLease>,
}

impl SharedBudget {
    /// Returns the terms of the lease for `quota`.
    pub(super) fn terms(&self, quota: Quota) -> LeaseTerms {
        // ImageKit counts every call that arrives, so no call leaves on credit.
        self.lease_queue.terms(quota, Credit::None)
    }

    /// Returns the time until a call may spend a cell, if it leaves `reserved` cells to more urgent
    /// calls.
    pub(super) fn wait(&self, quota: Quota, reserved: u32, now: Duration) -> Duration {
        let available = self.lease.available(self.terms(quota), now);
        if reserved > 0 && available <= reserved {
            return quota.interval() * (reserved + 1 - available);
        }
        self.lease.wait(now)
    }

    /// Spends a leased cell if `wait` is zero. Requests more cells from the ledger if needed.
    pub(super) fn spend(
        &self,
        quota: Quota,
        wait: Duration,
        now: Duration,
    ) -> Result<(), Duration> {
        let terms = self.terms(quota);
        let request = || self.lease_queue.request(|| SharedKey::Budget, terms, &self.lease);
        if !wait.is_zero() {
            if self.lease.needs_request(now) {
                request();
            }
            return Err(wait);
        }
        let (outcome, needs_more) = self.lease.spend(terms, now);
        if needs_more {
            request();
        }
        match outcome {
            SpendOutcome::Spent { .. } => Ok(()),
            SpendOutcome::Refused { wait } => Err(wait),
        }
    }
}
