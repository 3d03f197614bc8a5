//! Quotas as they were configured: values only.

use std::num::NonZeroU32;

use super::quota::Quota;
use super::subscriber::Ipv6Limits;

/// The quotas in force.
#[derive(Clone, Debug)]
pub struct LimitSettings {
    /// Of each address. `None`: nobody is served without a credential.
    pub anonymous: Option<Quota>,
    pub ipv6: Ipv6Limits,
    /// How many are told apart at a time: addresses, wide prefixes, addresses whose credentials
    /// fail, subjects of tokens. More cost memory (about 64 bytes each); with fewer, newcomers
    /// share a quota sooner when very many are active at once.
    pub max_tracked_callers: usize,
    /// Of each address, for credentials that fail.
    pub auth_failures: Quota,
    /// In the order of the configuration.
    pub callers: Vec<CallerQuota>,
    /// Of each subject of a token. `None`: there are none.
    pub tokens: Option<Quota>,
    pub enforcement: Enforcement,
}

/// The quota of one configured caller.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CallerQuota {
    /// By which the caller keeps its state when the configuration changes.
    pub name: String,
    pub quota: Quota,
}

/// What becomes of a request that is over its caller's quota.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Enforcement {
    /// It is counted, and served: to see what a quota would do.
    DryRun,
    /// It is counted, and refused.
    Refuse,
}

impl LimitSettings {
    /// The quotas of one node of so many.
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

    /// Of all IPv6 addresses with the same wide prefix together.
    pub fn wide(&self) -> Option<Quota> {
        self.anonymous.map(|quota| quota.times(self.ipv6.wide_factor))
    }

    /// Likewise, for credentials that fail.
    pub(super) fn wide_failures(&self) -> Quota {
        self.auth_failures.times(self.ipv6.wide_factor)
    }
}
