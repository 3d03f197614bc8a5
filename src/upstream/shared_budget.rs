//! The budget as one gateway of several has it.

use std::sync::Arc;
use std::time::Duration;

use crate::limit::{Credit, Desk, Quota, Share, SharedKey, Spent, Terms};

/// The same budget, of which other gateways spend too.
pub(super) struct Shared {
    pub(super) desk: Arc<Desk>,
    pub(super) share: Arc<Share>,
}

impl Shared {
    pub(super) fn terms(&self, quota: Quota) -> Terms {
        // ImageKit counts what it gets: nothing leaves on credit.
        self.desk.terms(quota, Credit::None)
    }

    /// How long until a cell may be spent by whoever leaves so many to others.
    pub(super) fn wait(&self, quota: Quota, reserved: u32, now: Duration) -> Duration {
        let available = self.share.available(self.terms(quota), now);
        if reserved > 0 && available <= reserved {
            return quota.interval() * (reserved + 1 - available);
        }
        self.share.wait(now)
    }

    /// Spends a cell that is here, if nothing is in the way for so long; and asks for more.
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
