//! Admission control: how many requests one caller may send.
//!
//! Runs once the caller is known and before the cache, so a refused request costs neither a
//! lookup nor an upstream call; hits count too.
//!
//! The algorithm is GCRA, in governor's words: each request is one *cell*, a *quota* is a burst
//! plus the interval at which one cell is replenished, and a cell that arrives too early does
//! not conform. This room owns the policy (which caller, which quota, what is kept for how many)
//! and leaves the arithmetic to governor.

mod bucket;
mod quota;
mod store;
mod subscriber;

use std::net::IpAddr;

use bucket::{Bucket, Cell, Only};
pub use quota::{Limit, Quota, Standing, Throttled};
use store::BoundedStore;
pub use subscriber::{Ipv6Limits, Subscriber};

use crate::caller::{Caller, CallerId, Subject};
use crate::clock::Clock;

/// Addresses of webhooks that are told apart: ImageKit has few.
const TRACKED_WEBHOOKS_MAX: usize = 1_000;

/// What one address may deliver: ImageKit sends an event for each file of a bulk operation.
pub const WEBHOOK_QUOTA: Quota = Quota::new(100, 500).expect("neither is zero");

/// Of what nobody may use.
const UNUSED: Quota = Quota::new(1, 1).expect("neither is zero");

type Addresses = Bucket<Subscriber, BoundedStore<Subscriber>>;

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
    /// Of all IPv6 addresses with the same wide prefix together.
    pub fn wide(&self) -> Option<Quota> {
        self.anonymous.map(|quota| quota.times(self.ipv6.wide_factor))
    }

    /// Likewise, for credentials that fail.
    fn wide_failures(&self) -> Quota {
        self.auth_failures.times(self.ipv6.wide_factor)
    }
}

/// Counts every caller's requests against its quota.
pub struct Limits {
    anonymous: Addresses,
    wide: Addresses,
    ipv6: Ipv6Limits,
    callers: Vec<(String, Bucket<Only, Cell>)>,
    tokens: Bucket<Subject, BoundedStore<Subject>>,
    auth_failures: Addresses,
    wide_failures: Addresses,
    webhooks: Addresses,
    pub enforcement: Enforcement,
}

impl Limits {
    pub fn new(settings: &LimitSettings, clock: &Clock) -> Self {
        let tracked = settings.max_tracked_callers;
        let addresses = |limit, quota, tracked| {
            Bucket::new(limit, quota, BoundedStore::new(tracked, clock.clone()), clock)
        };
        let one = |caller: &CallerQuota| {
            let bucket = Bucket::new(Limit::Caller, caller.quota, Cell::default(), clock);
            (caller.name.clone(), bucket)
        };
        let subjects = BoundedStore::new(tracked, clock.clone());
        Self {
            anonymous: addresses(Limit::Address, settings.anonymous.unwrap_or(UNUSED), tracked),
            wide: addresses(Limit::Prefix, settings.wide().unwrap_or(UNUSED), tracked),
            ipv6: settings.ipv6,
            callers: settings.callers.iter().map(one).collect(),
            tokens: Bucket::new(Limit::Caller, settings.tokens.unwrap_or(UNUSED), subjects, clock),
            auth_failures: addresses(Limit::Auth, settings.auth_failures, tracked),
            wide_failures: addresses(Limit::Auth, settings.wide_failures(), tracked),
            webhooks: addresses(Limit::Webhook, WEBHOOK_QUOTA, TRACKED_WEBHOOKS_MAX),
            enforcement: settings.enforcement,
        }
    }

    /// Other quotas for the same callers: what each has spent stays spent. How many are told
    /// apart stays as it was.
    #[must_use]
    pub fn renewed(&self, settings: &LimitSettings, clock: &Clock) -> Self {
        let one = |caller: &CallerQuota| {
            let known = self.callers.iter().find(|(name, _)| *name == caller.name);
            let bucket = match known {
                Some((_, bucket)) => bucket.renewed(caller.quota),
                None => Bucket::new(Limit::Caller, caller.quota, Cell::default(), clock),
            };
            (caller.name.clone(), bucket)
        };
        Self {
            // What nobody may use now keeps its quota: with another one, whoever has spent it
            // would have it back when it is used again.
            anonymous: self.anonymous.renewed(settings.anonymous.unwrap_or(self.anonymous.quota)),
            wide: self.wide.renewed(settings.wide().unwrap_or(self.wide.quota)),
            ipv6: settings.ipv6,
            callers: settings.callers.iter().map(one).collect(),
            tokens: self.tokens.renewed(settings.tokens.unwrap_or(self.tokens.quota)),
            auth_failures: self.auth_failures.renewed(settings.auth_failures),
            wide_failures: self.wide_failures.renewed(settings.wide_failures()),
            webhooks: self.webhooks.renewed(WEBHOOK_QUOTA),
            enforcement: settings.enforcement,
        }
    }

    /// Once the quotas of [`Limits::renewed`] are in force and the old ones are not: lets nobody
    /// wait for longer than these say.
    pub fn clamp(&self) {
        for addresses in [&self.anonymous, &self.wide, &self.auth_failures, &self.wide_failures] {
            addresses.clamp();
        }
        self.tokens.clamp();
        for (_, caller) in &self.callers {
            caller.clamp();
        }
    }

    /// Admits one request, or says when to come back.
    ///
    /// # Errors
    ///
    /// [`Throttled`] if the cell does not conform to the caller's quota.
    pub fn admit(&self, caller: &Caller) -> Result<Standing, Throttled> {
        match caller {
            Caller::Anonymous(address) => self.admit_address(*address),
            Caller::Known(CallerId(place)) => {
                let known = self.callers.get(*place);
                let (_, bucket) = known.expect("each configured caller has a quota");
                bucket.check(&Only)
            }
            Caller::Token(token) => self.tokens.check(&token.subject),
        }
    }

    /// Its own quota first: whoever has used that up spends nothing of their neighbours'.
    fn admit_address(&self, address: IpAddr) -> Result<Standing, Throttled> {
        let subscriber = self.subscriber(address);
        let own = self.anonymous.check(&subscriber)?;
        if !subscriber.is_v6() {
            return Ok(own);
        }
        let neighbours = Subscriber::of(address, self.ipv6.wide_prefix);
        let wide = self.wide.check(&neighbours)?;
        Ok(if wide.left < own.left { wide } else { own })
    }

    /// Admits one delivery of a webhook, genuine or not.
    ///
    /// # Errors
    ///
    /// [`Throttled`] if the cell does not conform to the address's quota.
    pub fn admit_webhook(&self, from: Subscriber) -> Result<(), Throttled> {
        self.webhooks.check(&from).map(drop)
    }

    /// Admits one more credential that failed, as far as telling its sender why goes.
    ///
    /// # Errors
    ///
    /// [`Throttled`] if the cell does not conform to the address's quota.
    pub fn admit_auth_failure(&self, from: IpAddr) -> Result<(), Throttled> {
        let subscriber = self.subscriber(from);
        self.auth_failures.check(&subscriber)?;
        if subscriber.is_v6() {
            self.wide_failures.check(&Subscriber::of(from, self.ipv6.wide_prefix))?;
        }
        Ok(())
    }

    /// Whom an address counts as.
    pub fn subscriber(&self, address: IpAddr) -> Subscriber {
        Subscriber::of(address, self.ipv6.prefix)
    }

    /// Whether one more credential that fails would be admitted: only then is it worth looking
    /// at one that is costly to verify. Counts nothing.
    ///
    /// # Errors
    ///
    /// [`Throttled`] if it would not.
    pub fn may_fail_auth(&self, from: IpAddr) -> Result<(), Throttled> {
        let subscriber = self.subscriber(from);
        self.auth_failures.peek(&subscriber)?;
        if subscriber.is_v6() {
            self.wide_failures.peek(&Subscriber::of(from, self.ipv6.wide_prefix))?;
        }
        Ok(())
    }

    /// How many anonymous callers are tracked now.
    pub fn tracked_callers(&self) -> usize {
        self.anonymous.store.len()
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn address(text: &str) -> Caller {
        Caller::Anonymous(text.parse().unwrap())
    }

    fn limits(per_second: u32, burst: u32) -> (Limits, Clock) {
        let clock = Clock::manual();
        (Limits::new(&settings(per_second, burst), &clock), clock)
    }

    fn settings(per_second: u32, burst: u32) -> LimitSettings {
        let quota = Quota::new(per_second, burst).unwrap();
        LimitSettings {
            anonymous: Some(quota),
            ipv6: Ipv6Limits {
                prefix: 64,
                wide_prefix: 48,
                wide_factor: NonZeroU32::new(4).unwrap(),
            },
            max_tracked_callers: 1000,
            auth_failures: quota,
            enforcement: Enforcement::Refuse,
            callers: vec![CallerQuota { name: "team".to_owned(), quota }],
            tokens: Some(quota),
        }
    }

    #[test]
    fn what_was_spent_stays_spent_when_quotas_change_and_nobody_waits_longer_than_they_say() {
        for caller in [address("192.0.2.1"), Caller::Known(CallerId(0))] {
            let (limits, clock) = limits(1, 10);
            for _ in 0..10 {
                assert!(limits.admit(&caller).is_ok());
            }
            // Faster: the wait is the new quota's, at most.
            let faster = limits.renewed(&settings(100, 5), &clock);
            faster.clamp();
            assert_eq!(faster.admit(&caller).unwrap_err().wait, Duration::from_millis(10));
            clock.advance(Duration::from_millis(10));
            assert_eq!(faster.admit(&caller).unwrap().left, 0);
            // Slower: what had come back by then is not taken away.
            clock.advance(Duration::from_millis(20));
            let slower = faster.renewed(&settings(1, 3), &clock);
            slower.clamp();
            assert_eq!(slower.admit(&caller).unwrap().left, 1);
            // The same again: nothing is refilled.
            let same = slower.renewed(&settings(1, 3), &clock);
            same.clamp();
            assert_eq!(same.admit(&caller).unwrap().left, 0);
            assert_eq!(same.admit(&caller).unwrap_err().wait, Duration::from_millis(30));
        }
    }

    #[test]
    fn callers_keep_their_state_by_name_wherever_they_stand() {
        let (limits, clock) = limits(1, 1);
        assert!(limits.admit(&Caller::Known(CallerId(0))).is_ok());
        let mut settings = settings(1, 1);
        let (team, quota) = (settings.callers[0].clone(), settings.callers[0].quota);
        settings.callers = vec![CallerQuota { name: "new".to_owned(), quota }, team];
        let limits = limits.renewed(&settings, &clock);
        assert!(limits.admit(&Caller::Known(CallerId(0))).is_ok());
        assert!(limits.admit(&Caller::Known(CallerId(1))).is_err());
    }

    #[test]
    fn a_burst_is_admitted_counted_down_and_then_throttled() {
        for caller in [address("192.0.2.1"), Caller::Known(CallerId(0))] {
            let (limits, _clock) = limits(1, 3);
            for left in [2, 1, 0] {
                assert_eq!(limits.admit(&caller).unwrap().left, left);
            }
            assert_eq!(limits.admit(&caller).unwrap_err().wait, Duration::from_secs(1));
        }
    }

    #[test]
    fn callers_do_not_share_a_quota() {
        let (limits, _clock) = limits(1, 1);
        for caller in [address("192.0.2.1"), address("192.0.2.2"), Caller::Known(CallerId(0))] {
            assert!(limits.admit(&caller).is_ok(), "{caller:?}");
            assert!(limits.admit(&caller).is_err(), "{caller:?}");
        }
    }

    #[test]
    fn hopping_from_prefix_to_prefix_does_not_pay() {
        let (limits, clock) = limits(1, 3);
        let hop = |number: u32| limits.admit(&address(&format!("2001:db8:0:{number:x}::1")));
        let admitted = (0..100).filter(|number| hop(*number).is_ok()).count();
        assert_eq!(admitted, 4 * 3);
        let refused = hop(100).unwrap_err();
        assert_eq!((refused.limit, refused.wait), (Limit::Prefix, Duration::from_millis(250)));
        assert!(limits.admit(&address("2001:db8:1::1")).is_ok(), "others are not concerned");
        clock.advance(Duration::from_millis(250));
        assert!(hop(101).is_ok());
    }

    #[test]
    fn credentials_that_fail_are_counted_by_the_wider_prefix_too() {
        let (limits, _clock) = limits(1, 3);
        let fail = |number: u32| {
            let address = format!("2001:db8:0:{number:x}::1").parse().unwrap();
            limits.may_fail_auth(address).and_then(|()| limits.admit_auth_failure(address)).is_ok()
        };
        assert_eq!((0..100).filter(|number| fail(*number)).count(), 4 * 3);
    }

    #[test]
    fn what_was_spent_is_not_given_back_while_nobody_may_use_it() {
        let (limits, clock) = limits(1, 60);
        for _ in 0..60 {
            assert!(limits.admit(&address("192.0.2.1")).is_ok());
        }
        let off = limits.renewed(&LimitSettings { anonymous: None, ..settings(1, 60) }, &clock);
        off.clamp();
        let on = off.renewed(&settings(1, 60), &clock);
        on.clamp();
        assert!(on.admit(&address("192.0.2.1")).is_err());
    }

    #[test]
    fn whoever_has_used_up_their_own_quota_spends_nothing_of_their_neighbours() {
        let (limits, _clock) = limits(1, 3);
        for _ in 0..100 {
            let _ = limits.admit(&address("2001:db8::1"));
        }
        assert_eq!(limits.admit(&address("2001:db8::1")).unwrap_err().limit, Limit::Address);
        for number in 1..=9 {
            let neighbour = format!("2001:db8:0:{number}::1");
            assert!(limits.admit(&address(&neighbour)).is_ok(), "{neighbour}");
        }
    }

    #[test]
    fn the_tightest_quota_is_told() {
        let (limits, _clock) = limits(1, 3);
        let left = |text: &str| limits.admit(&address(text)).map(|own| (own.limit, own.left));
        assert_eq!(left("2001:db8::1").unwrap(), (Limit::Address, 2));
        for number in 1..=9 {
            left(&format!("2001:db8:0:{number}::1")).unwrap();
        }
        assert_eq!(left("2001:db8:0:a::1").unwrap(), (Limit::Prefix, 1));
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
                prop_assert!(limits.admit(&caller).is_ok());
            }
            let Throttled { wait, .. } = limits.admit(&caller).unwrap_err();
            clock.advance(wait.saturating_sub(Duration::from_nanos(1)));
            prop_assert!(limits.admit(&caller).is_err(), "one nanosecond early");
            clock.advance(Duration::from_nanos(1));
            prop_assert!(limits.admit(&caller).is_ok(), "on time");
        }
    }
}
