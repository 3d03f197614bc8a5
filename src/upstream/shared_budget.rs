//! Call budget of one gateway in a fleet: cells leased from the fleet's ledger.

use std::sync::Arc;
use std::time::Duration;

use crate::limit::{Credit, Desk, Quota, Share, SharedKey, Spent, Terms};

/// Call budget of a fleet: the other gateways spend from it, too.
pub(super) struct SharedBudget {
    pub(super) desk: Arc<Desk>,
    pub(super) share: Arc<Share>,
}

impl SharedBudget {
    /// Returns the terms of the lease for `quota`.
    pub(super) fn terms(&self, quota: Quota) -> Terms {
        // ImageKit counts every call that arrives, so no call leaves on credit.
        self.desk.terms(quota, Credit::None)
    }

    /// Returns the time until a call may spend a cell, if it leaves `reserved` cells to more urgent
    /// calls.
    pub(super) fn wait(&self, quota: Quota, reserved: u32, now: Duration) -> Duration {
        let available = self.share.available(self.terms(quota), now);
        if reserved > 0 && available <= reserved {
            return quota.interval() * (reserved + 1 - available);
        }
        self.share.wait(now)
    }

    /// Spends a leased cell if `wait` is zero. Requests more cells from the ledger if needed.
    pub(super) fn spend(
        &self,
        quota: Quota,
        wait: Duration,
        now: Duration,
    ) -> Result<(), Duration> {
        let terms = self.terms(quota);
        let claim = || self.desk.claim(|| SharedKey::Budget, terms, &self.share);
        if !wait.is_zero() {
            if self.share.is_to_be_asked(now) {
                claim();
            }
            return Err(wait);
        }
        let (spent, more) = self.share.spend(terms, now);
        if more {
            claim();
        }
        match spent {
            Spent::Cell { .. } => Ok(()),
            Spent::Not { wait } => Err(wait),
        }
    }
}
