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

    /// Whoever has used up their own quota spends nothing of their neighbours', and a refusal for
    /// the neighbours' sake costs nothing of one's own.
    fn admit_address(&self, address: IpAddr) -> Result<Standing, Throttled> {
        let subscriber = self.subscriber(address);
        if !subscriber.is_v6() {
            return self.anonymous.check(&subscriber);
        }
        self.anonymous.peek(&subscriber)?;
        let wide = self.wide.check(&Subscriber::of(address, self.ipv6.wide_prefix))?;
        let own = self.anonymous.check(&subscriber)?;
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
mod tests;
