//! Admission control: how many requests one caller may send.
//!
//! Runs once the caller is known and before the cache, so a refused request costs neither a
//! lookup nor an upstream call; hits count too.
//!
//! The algorithm is GCRA, in governor's words: each request is one *cell*, a *quota* is a burst
//! plus the interval at which one cell is replenished, and a cell that arrives too early does
//! not conform. This room owns the policy (which caller, which quota, what is kept for how many)
//! and leaves the arithmetic to governor.

mod quota;
mod store;

use governor::middleware::{StateInformationMiddleware, StateSnapshot};
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed};
use governor::{NotUntil, RateLimiter};

pub use quota::{Quota, Standing, Throttled};
use store::BoundedStore;

use crate::caller::{Caller, CallerId, Subscriber};
use crate::clock::Clock;

/// How many anonymous callers are told apart at a time.
///
/// More cost memory (about 64 bytes each); with fewer, newcomers share a quota sooner when very
/// many addresses are active at once.
const TRACKED_CALLERS_MAX: usize = 100_000;

/// Addresses of webhooks that are told apart: ImageKit has few.
const TRACKED_WEBHOOKS_MAX: usize = 1_000;

/// What one address may deliver: ImageKit sends an event for each file of a bulk operation.
pub const WEBHOOK_QUOTA: Quota = Quota::new(100, 500).expect("neither is zero");

type Addresses =
    RateLimiter<Subscriber, BoundedStore<Subscriber>, Clock, StateInformationMiddleware>;
type OneCaller = RateLimiter<NotKeyed, InMemoryState, Clock, StateInformationMiddleware>;

/// The quotas in force.
#[derive(Clone, Debug)]
pub struct LimitSettings {
    /// Of each address.
    pub anonymous: Quota,
    /// Of each configured caller, in the order of the configuration.
    pub callers: Vec<Quota>,
}

/// Counts every caller's requests against its quota.
pub struct Limits {
    anonymous: (Quota, Addresses),
    callers: Vec<(Quota, OneCaller)>,
    webhooks: Addresses,
    clock: Clock,
}

impl Limits {
    pub fn new(settings: &LimitSettings, clock: &Clock) -> Self {
        let addresses = |quota: Quota, tracked| {
            let store = BoundedStore::new(tracked, clock.clone());
            RateLimiter::new(quota.into(), store, clock.clone())
        };
        let anonymous = addresses(settings.anonymous, TRACKED_CALLERS_MAX);
        let one = |quota: &Quota| {
            let state = InMemoryState::default();
            (*quota, RateLimiter::new((*quota).into(), state, clock.clone()))
        };
        Self {
            anonymous: (settings.anonymous, anonymous),
            callers: settings.callers.iter().map(one).collect(),
            webhooks: addresses(WEBHOOK_QUOTA, TRACKED_WEBHOOKS_MAX),
            clock: clock.clone(),
        }
    }

    /// Admits one request, or says when to come back.
    ///
    /// # Errors
    ///
    /// [`Throttled`] if the cell does not conform to the caller's quota.
    pub fn admit(&self, caller: Caller) -> Result<Standing, Throttled> {
        let (quota, verdict) = match caller {
            Caller::Anonymous(subscriber) => {
                let (quota, cells) = &self.anonymous;
                (*quota, cells.check_key(&subscriber))
            }
            Caller::Known(CallerId(place)) => {
                let known = self.callers.get(place);
                let (quota, cells) = known.expect("each configured caller has a quota");
                (*quota, cells.check())
            }
        };
        match verdict {
            Ok(snapshot) => Ok(standing(quota, &snapshot)),
            Err(not_until) => Err(self.throttled(quota, &not_until)),
        }
    }

    /// Admits one delivery of a webhook, genuine or not.
    ///
    /// # Errors
    ///
    /// [`Throttled`] if the cell does not conform to the address's quota.
    pub fn admit_webhook(&self, from: Subscriber) -> Result<(), Throttled> {
        let verdict = self.webhooks.check_key(&from);
        verdict.map(drop).map_err(|not_until| self.throttled(WEBHOOK_QUOTA, &not_until))
    }

    fn throttled(&self, quota: Quota, not_until: &NotUntil<Nanos>) -> Throttled {
        let now = governor::clock::Clock::now(&self.clock);
        Throttled { quota, wait: not_until.wait_time_from(now) }
    }

    /// How many anonymous callers are tracked now.
    pub fn tracked_callers(&self) -> usize {
        self.anonymous.1.len()
    }
}

fn standing(quota: Quota, snapshot: &StateSnapshot) -> Standing {
    Standing { quota, left: snapshot.remaining_burst_capacity() }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn address(text: &str) -> Caller {
        Caller::Anonymous(Subscriber::of(text.parse::<IpAddr>().unwrap()))
    }

    fn limits(per_second: u32, burst: u32) -> (Limits, Clock) {
        let clock = Clock::manual();
        let quota = Quota::new(per_second, burst).unwrap();
        let settings = LimitSettings { anonymous: quota, callers: vec![quota] };
        (Limits::new(&settings, &clock), clock)
    }

    #[test]
    fn a_burst_is_admitted_counted_down_and_then_throttled() {
        for caller in [address("192.0.2.1"), Caller::Known(CallerId(0))] {
            let (limits, _clock) = limits(1, 3);
            for left in [2, 1, 0] {
                assert_eq!(limits.admit(caller).unwrap().left, left);
            }
            assert_eq!(limits.admit(caller).unwrap_err().wait, Duration::from_secs(1));
        }
    }

    #[test]
    fn callers_do_not_share_a_quota() {
        let (limits, _clock) = limits(1, 1);
        for caller in [address("192.0.2.1"), address("192.0.2.2"), Caller::Known(CallerId(0))] {
            assert!(limits.admit(caller).is_ok(), "{caller:?}");
            assert!(limits.admit(caller).is_err(), "{caller:?}");
        }
    }

    proptest! {
        #[test]
        fn a_request_passes_exactly_when_the_wait_is_over(
            per_second in 1..5_000_u32,
            burst in 1..50_u32,
        ) {
            let (limits, clock) = limits(per_second, burst);
            let caller = address("192.0.2.1");
            for _ in 0..burst {
                prop_assert!(limits.admit(caller).is_ok());
            }
            let Throttled { wait, .. } = limits.admit(caller).unwrap_err();
            clock.advance(wait.saturating_sub(Duration::from_nanos(1)));
            prop_assert!(limits.admit(caller).is_err(), "one nanosecond early");
            clock.advance(Duration::from_nanos(1));
            prop_assert!(limits.admit(caller).is_ok(), "on time");
        }
    }
}
