//! What a caller may send, and what is said about it: values only.

use std::num::NonZeroU32;
use std::time::Duration;

/// A sustained rate and how many requests may come at once after rest.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Quota {
    pub per_second: NonZeroU32,
    pub burst: NonZeroU32,
}

/// How a caller stands after a request was admitted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Standing {
    pub quota: Quota,
    /// Requests that would be admitted now.
    pub left: u32,
}

/// A quota is used up.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("over quota for {wait:?}")]
pub struct Throttled {
    pub quota: Quota,
    /// Until one more request would conform.
    pub wait: Duration,
}

impl Quota {
    /// `None` if either is zero.
    pub const fn new(per_second: u32, burst: u32) -> Option<Self> {
        match (NonZeroU32::new(per_second), NonZeroU32::new(burst)) {
            (Some(per_second), Some(burst)) => Some(Self { per_second, burst }),
            _ => None,
        }
    }

    /// Time in which one cell comes back.
    fn interval(self) -> Duration {
        Duration::from_secs(1) / self.per_second.get()
    }

    /// Time in which the whole burst comes back.
    pub fn refill(self) -> Duration {
        self.interval() * self.burst.get()
    }
}

impl From<Quota> for governor::Quota {
    fn from(quota: Quota) -> Self {
        Self::per_second(quota.per_second).allow_burst(quota.burst)
    }
}

impl Standing {
    /// Until the burst is whole again; at most one interval more than it takes, since a cell
    /// that is partly back counts as missing.
    pub fn until_full(self) -> Duration {
        self.quota.interval() * (self.quota.burst.get() - self.left.min(self.quota.burst.get()))
    }
}
