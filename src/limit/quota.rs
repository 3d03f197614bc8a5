//! Quotas, and the results of a check against them, as plain values.

use std::num::NonZeroU32;
use std::time::Duration;

/// Quota: a sustained rate, and a burst that may arrive at once after a rest.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Quota {
    /// Sustained rate in cells per second, of all nodes that share the quota.
    per_second: NonZeroU32,
    /// Most cells that may be spent at once.
    pub burst: NonZeroU32,
    /// Number of nodes among which the rate is divided.
    among: NonZeroU32,
}

/// Kind of a quota.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[repr(u8)]
pub enum Limit {
    /// Quota of an anonymous caller's address.
    Address,
    /// Quota of an address for failed credentials.
    Auth,
    /// Quota of a configured caller or of a token's subject.
    Caller,
    /// Quota shared by all IPv6 addresses with the same wide prefix.
    Prefix,
    /// Quota of an address for webhook deliveries.
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

/// State of a caller's quota after a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct QuotaStatus {
    /// Kind of the quota; the tightest, if more than one applies.
    pub limit: Limit,
    pub quota: Quota,
    /// Requests that would be admitted now.
    pub left: u32,
}

/// Refusal: the quota is used up.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("over quota: the next request is admitted in {wait:?}")]
pub struct Throttled {
    pub limit: Limit,
    pub quota: Quota,
    /// Time until one more request would conform.
    pub wait: Duration,
}

/// Shortest wait that a refused caller is told, if its burst takes longer than that to come back.
const RETURN_MIN: Duration = Duration::from_secs(1);

/// Returns the time after which a refused caller should return. `wait`: time until one cell is
/// back; `refill`: time until the whole burst is.
///
/// Requests that are refused together would all return for that one cell, and all but one in vain,
/// until their SDK gives up. So the caller is told to return when the cells of a second are back, or
/// its whole burst.
pub fn return_wait(wait: Duration, refill: Duration) -> Duration {
    wait.max(refill.min(RETURN_MIN))
}

/// Returns a time in whole milliseconds, rounded up, as header fields state waits and intervals.
pub fn whole_millis(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

impl Throttled {
    /// Returns the time after which the caller should return.
    pub fn return_wait(&self) -> Duration {
        return_wait(self.wait, self.quota.refill())
    }
}

impl Quota {
    /// Creates a quota; `None` if either value is zero.
    pub const fn new(per_second: u32, burst: u32) -> Option<Self> {
        match (NonZeroU32::new(per_second), NonZeroU32::new(burst)) {
            (Some(per_second), Some(burst)) => {
                Some(Self { per_second, burst, among: NonZeroU32::MIN })
            }
            _ => None,
        }
    }

    /// Returns `factor` times this quota, in rate and burst.
    #[must_use]
    pub fn times(self, factor: NonZeroU32) -> Self {
        Self {
            per_second: self.per_second.saturating_mul(factor),
            burst: self.burst.saturating_mul(factor),
            ..self
        }
    }

    /// Returns one node's part of this quota in a fleet of `nodes`: the rate and the burst divided
    /// by `nodes`.
    #[must_use]
    pub fn part_of(self, nodes: NonZeroU32) -> Self {
        let burst = NonZeroU32::new(self.burst.get() / nodes).unwrap_or(NonZeroU32::MIN);
        Self { burst, among: self.among.saturating_mul(nodes), ..self }
    }

    /// Returns the time in which one cell comes back.
    pub fn interval(self) -> Duration {
        Duration::from_secs(1) * self.among.get() / self.per_second.get()
    }

    /// Returns the time in which the whole burst comes back.
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

impl QuotaStatus {
    /// Returns the time until the burst is whole again. It may be up to one interval too long,
    /// since a cell that is partly back counts as missing.
    pub fn until_full(self) -> Duration {
        self.quota.interval() * (self.quota.burst.get() - self.left.min(self.quota.burst.get()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_caller_returns_for_the_cells_of_a_second_or_for_its_whole_burst() {
        let at = Duration::from_millis;
        for (wait, refill, expected) in [
            (20, 2_000, 1_000),
            (100, 200, 200),
            (100, 100, 100),
            (1_000, 1_000, 1_000),
            (700, 5_000, 1_000),
            (3_000, 60_000, 3_000),
        ] {
            assert_eq!(return_wait(at(wait), at(refill)), at(expected), "{wait} {refill}");
        }
    }
}
