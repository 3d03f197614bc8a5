//! What a caller may send, and what is said about it: values only.

use std::num::NonZeroU32;
use std::time::Duration;

/// A sustained rate and how many requests may come at once after rest.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Quota {
    /// Of all that share in it.
    per_second: NonZeroU32,
    pub burst: NonZeroU32,
    /// How many share in it, with a part each.
    among: NonZeroU32,
}

/// Which quota it was.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[repr(u8)]
pub enum Limit {
    /// Of an anonymous caller's address.
    Address,
    /// Of an address whose credentials fail.
    Auth,
    /// Of a configured caller.
    Caller,
    /// Of all IPv6 addresses with the same wide prefix.
    Prefix,
    /// Of an address that delivers webhooks.
    Webhook,
}

impl Limit {
    pub const ALL: [Self; 5] =
        [Self::Address, Self::Auth, Self::Caller, Self::Prefix, Self::Webhook];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Auth => "auth",
            Self::Caller => "caller",
            Self::Prefix => "prefix",
            Self::Webhook => "webhook",
        }
    }
}

/// How a caller stands after a request was admitted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Standing {
    /// The tightest, where there is more than one.
    pub limit: Limit,
    pub quota: Quota,
    /// Requests that would be admitted now.
    pub left: u32,
}

/// A quota is used up.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("over quota for {wait:?}")]
pub struct Throttled {
    pub limit: Limit,
    pub quota: Quota,
    /// Until one more request would conform.
    pub wait: Duration,
}

impl Quota {
    /// `None` if either is zero.
    pub const fn new(per_second: u32, burst: u32) -> Option<Self> {
        match (NonZeroU32::new(per_second), NonZeroU32::new(burst)) {
            (Some(per_second), Some(burst)) => {
                Some(Self { per_second, burst, among: NonZeroU32::MIN })
            }
            _ => None,
        }
    }

    /// The same with another rate or burst, where there is one.
    #[must_use]
    pub fn with(self, per_second: Option<NonZeroU32>, burst: Option<NonZeroU32>) -> Self {
        Self {
            per_second: per_second.unwrap_or(self.per_second),
            burst: burst.unwrap_or(self.burst),
            ..self
        }
    }

    /// So many times as much, at once and sustained.
    #[must_use]
    pub fn times(self, factor: NonZeroU32) -> Self {
        Self {
            per_second: self.per_second.saturating_mul(factor),
            burst: self.burst.saturating_mul(factor),
            ..self
        }
    }

    /// The part of one of so many: as long a wait for all of it, for so much less.
    #[must_use]
    pub fn part_of(self, nodes: NonZeroU32) -> Self {
        let burst = NonZeroU32::new(self.burst.get() / nodes).unwrap_or(NonZeroU32::MIN);
        Self { burst, among: self.among.saturating_mul(nodes), ..self }
    }

    /// Time in which one cell comes back.
    pub fn interval(self) -> Duration {
        Duration::from_secs(1) * self.among.get() / self.per_second.get()
    }

    /// Time in which the whole burst comes back.
    pub fn refill(self) -> Duration {
        self.interval() * self.burst.get()
    }
}

impl From<Quota> for governor::Quota {
    fn from(quota: Quota) -> Self {
        let limit = Self::with_period(quota.interval()).expect("an interval is not zero");
        limit.allow_burst(quota.burst)
    }
}

impl Standing {
    /// Until the burst is whole again; at most one interval more than it takes, since a cell
    /// that is partly back counts as missing.
    pub fn until_full(self) -> Duration {
        self.quota.interval() * (self.quota.burst.get() - self.left.min(self.quota.burst.get()))
    }
}
