//! Configured quotas, as plain values.

use std::num::NonZeroU32;

use super::quota::Quota;
use super::subscriber::Ipv6Limits;

/// Configured quotas of all kinds of callers.
#[derive(Clone, Debug)]
pub struct LimitSettings {
    /// Quota of each address without a credential. `None`: a credential is required.
    pub anonymous: Option<Quota>,
    pub ipv6: Ipv6Limits,
    /// Most callers that are tracked at a time, of each kind: addresses, wide prefixes, both again
    /// for credentials that fail, and subjects of tokens. Each takes about 64 bytes. With fewer,
    /// new callers share a quota sooner when very many are active.
    pub max_tracked_callers: usize,
    /// Quota of each address for failed credentials.
    pub auth_failures: Quota,
    /// Quotas of the configured callers, in the order of the configuration.
    pub callers: Vec<CallerQuota>,
    /// Quota of each token subject. `None`: no tokens are accepted.
    pub tokens: Option<Quota>,
    pub enforcement: Enforcement,
}

/// Quota of one configured caller.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CallerQuota {
    /// Name of the caller, by which it keeps its state when the configuration changes.
    pub name: String,
    pub quota: Quota,
}

/// Treatment of a request that exceeds its caller's quota.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Enforcement {
    /// Count it and serve it, to see what a quota would do.
    DryRun,
    /// Count it and refuse it.
    Refuse,
}

impl LimitSettings {
    /// Returns one node's part of the quotas in a fleet of `nodes`.
    #[must_use]
    pub fn part_of(&self, nodes: NonZeroU32) -> Self {
        let caller = |caller: &CallerQuota| CallerQuota {
            name: caller.name.clone(),
            quota: caller.quota.part_of(nodes),
        };
        Self {
            anonymous: self.anonymous.map(|quota| quota.part_of(nodes)),
            auth_failures: self.auth_failures.part_of(nodes),
            callers: self.callers.iter().map(caller).collect(),
            tokens: self.tokens.map(|quota| quota.part_of(nodes)),
            ..*self
        }
    }

    /// Returns the quota that all IPv6 addresses with the same wide prefix share.
    pub fn wide(&self) -> Option<Quota> {
        self.anonymous.map(|quota| quota.times(self.ipv6.wide_factor))
    }

    /// Returns the quota for failed credentials that all IPv6 addresses with the same wide prefix
    /// share.
    pub(super) fn wide_failures(&self) -> Quota {
        self.auth_failures.times(self.ipv6.wide_factor)
    }
}
