//! Limiters of the configured callers, each with one quota.

use std::num::NonZeroU32;
use std::sync::Arc;

use super::lease::QuotaLease;
use super::limiter::{Limiter, SingleKey, SingleState};
use super::quota::{Limit, Quota};
use super::settings::CallerQuota;
use crate::clock::Clock;

/// Limiter of one configured caller.
pub(super) struct CallerLimiter {
    pub(super) name: Arc<str>,
    pub(super) quota: Quota,
    /// Limiter of this node's own part, used while the fleet's ledger is not available.
    pub(super) local: Limiter<SingleKey, SingleState>,
    pub(super) lease: Arc<QuotaLease>,
}

/// Creates the limiters of the configured callers. A caller that has a limiter in `existing`, by
/// name, keeps what it has spent.
pub(super) fn limiters(
    quotas: &[CallerQuota],
    nodes: NonZeroU32,
    existing: &[CallerLimiter],
    clock: &Clock,
) -> Vec<CallerLimiter> {
    let limiter = |CallerQuota { name, quota }: &CallerQuota| {
        let (name, quota): (Arc<str>, _) = (name.as_str().into(), *quota);
        let part = quota.part_of(nodes);
        let (local, lease) =
            if let Some(existing) = existing.iter().find(|existing| existing.name == name) {
                (existing.local.renewed(part), Arc::clone(&existing.lease))
            } else {
                let state = SingleState::default();
                (Limiter::new(Limit::Caller, part, state, clock), Arc::default())
            };
        CallerLimiter { name, quota, local, lease }
    };
    quotas.iter().map(limiter).collect()
}
