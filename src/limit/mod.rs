//! Admission control: how many requests one caller may send.
//!
//! Runs once the caller is known and before the cache, so a refused request costs neither a
//! lookup nor an upstream call; hits count too.
//!
//! The algorithm is GCRA, in governor's words: each request is one *cell*, a *quota* is a burst
//! plus the interval at which one cell is replenished, and a cell that arrives too early does
//! not conform. This room owns the policy (which caller, which quota, what is kept for how many)
//! and leaves the arithmetic to governor.
//!
//! - `settings`, `quota`: what was configured, and what is said about it.
//! - `bucket`: one quota and its cells (`store`: of very many); `subscriber`: whose address.
//! - `fleet`: quotas that other nodes share in: a `share` of each (`purse`; `shares`: of very
//!   many), and the `desk` where they meet the ledger.

mod bounded;
mod bucket;
mod desk;
mod fleet;
#[cfg(test)]
pub(crate) mod gcra;
mod permits;
mod purse;
mod quota;
mod settings;
mod share;
mod shares;
mod single;
mod store;
mod subscriber;

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use bucket::{Bucket, Cell, Only};
pub use desk::{Claim, Desk, SharedKey};
use fleet::Fleet;
pub use permits::{KeyedPermit, KeyedPermits};
pub use quota::{Limit, Quota, Standing, Throttled};
pub use settings::{CallerQuota, Enforcement, LimitSettings};
pub use share::{Credit, Debit, Grant, Share, Spent, Terms};
use shares::Shares;
pub use single::SingleLimiter;
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

/// Counts every caller's requests against its quota.
pub struct Limits {
    anonymous: Addresses,
    wide: Addresses,
    ipv6: Ipv6Limits,
    callers: Vec<KnownCaller>,
    tokens: Bucket<Subject, BoundedStore<Subject>>,
    /// The quota of each subject, of which each node of a fleet has a part in `tokens`.
    of_tokens: Quota,
    fleet: Option<Arc<Fleet>>,
    clock: Clock,
    auth_failures: Addresses,
    wide_failures: Addresses,
    webhooks: Addresses,
    pub enforcement: Enforcement,
}

/// One configured caller.
struct KnownCaller {
    name: Arc<str>,
    quota: Quota,
    /// Of a node of a fleet: its part, for when nothing can be shared.
    own: Bucket<Only, Cell>,
    share: Arc<Share>,
}

impl Limits {
    /// `desk`: where a fleet's nodes share in them. Until others are heard there is one.
    pub fn new(settings: &LimitSettings, desk: Option<Arc<Desk>>, clock: &Clock) -> Self {
        let tracked = settings.max_tracked_callers;
        let addresses = |limit, quota, tracked| {
            Bucket::new(limit, quota, BoundedStore::new(tracked, clock.clone()), clock)
        };
        let subjects = BoundedStore::new(tracked, clock.clone());
        let fleet = |desk| Arc::new(Fleet { desk, subjects: Shares::new(tracked) });
        Self {
            anonymous: addresses(Limit::Address, settings.anonymous.unwrap_or(UNUSED), tracked),
            wide: addresses(Limit::Prefix, settings.wide().unwrap_or(UNUSED), tracked),
            ipv6: settings.ipv6,
            callers: known_callers(&settings.callers, NonZeroU32::MIN, &[], clock),
            tokens: Bucket::new(Limit::Caller, settings.tokens.unwrap_or(UNUSED), subjects, clock),
            auth_failures: addresses(Limit::Auth, settings.auth_failures, tracked),
            wide_failures: addresses(Limit::Auth, settings.wide_failures(), tracked),
            webhooks: addresses(Limit::Webhook, WEBHOOK_QUOTA, TRACKED_WEBHOOKS_MAX),
            of_tokens: settings.tokens.unwrap_or(UNUSED),
            fleet: desk.map(fleet),
            enforcement: settings.enforcement,
            clock: clock.clone(),
        }
    }

    /// Other quotas for the same callers, or shared by more or fewer: what each has spent stays
    /// spent. How many are told apart stays as it was.
    #[must_use]
    pub fn renewed(&self, settings: &LimitSettings, nodes: NonZeroU32) -> Self {
        let own = settings.part_of(nodes);
        Self {
            // What nobody may use now keeps its quota: with another one, whoever has spent it
            // would have it back when it is used again.
            anonymous: self.anonymous.renewed(own.anonymous.unwrap_or(self.anonymous.quota)),
            wide: self.wide.renewed(own.wide().unwrap_or(self.wide.quota)),
            ipv6: own.ipv6,
            callers: known_callers(&settings.callers, nodes, &self.callers, &self.clock),
            tokens: self.tokens.renewed(own.tokens.unwrap_or(self.tokens.quota)),
            auth_failures: self.auth_failures.renewed(own.auth_failures),
            wide_failures: self.wide_failures.renewed(own.wide_failures()),
            webhooks: self.webhooks.renewed(WEBHOOK_QUOTA),
            of_tokens: settings.tokens.unwrap_or(self.of_tokens),
            fleet: self.fleet.clone(),
            enforcement: own.enforcement,
            clock: self.clock.clone(),
        }
    }

    /// Once the quotas of [`Limits::renewed`] are in force and the old ones are not: lets nobody
    /// wait for longer than these say.
    pub fn clamp(&self) {
        for addresses in [&self.anonymous, &self.wide, &self.auth_failures, &self.wide_failures] {
            addresses.clamp();
        }
        self.tokens.clamp();
        for caller in &self.callers {
            caller.own.clamp();
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
                let known = known.expect("each configured caller has a quota");
                match self.open_fleet() {
                    Some((fleet, now)) => {
                        let key = || SharedKey::Caller(Arc::clone(&known.name));
                        fleet.spend(key, known.quota, &known.share, now)
                    }
                    None => self.spend_own(&known.share, known.quota, || known.own.check(&Only)),
                }
            }
            Caller::Token(token) => self.admit_subject(token.subject),
        }
    }

    fn admit_subject(&self, subject: Subject) -> Result<Standing, Throttled> {
        let Some(fleet) = &self.fleet else { return self.tokens.check(&subject) };
        let now = self.clock.monotonic();
        let Some(share) = fleet.subjects.get(subject, self.of_tokens, now) else {
            return self.tokens.check(&subject);
        };
        if fleet.desk.is_open(now) {
            return fleet.spend(|| SharedKey::Subject(subject), self.of_tokens, &share, now);
        }
        self.spend_own(&share, self.of_tokens, || self.tokens.check(&subject))
    }

    /// Spends of this node's own part. Where others share in the quota, they hear of it later.
    fn spend_own(
        &self,
        share: &Share,
        quota: Quota,
        check: impl FnOnce() -> Result<Standing, Throttled>,
    ) -> Result<Standing, Throttled> {
        let standing = check()?;
        if self.fleet.is_some() {
            share.owe(quota, self.clock.monotonic());
        }
        Ok(standing)
    }

    /// Where quotas are shared now, if they can be.
    fn open_fleet(&self) -> Option<(&Fleet, Duration)> {
        let fleet = self.fleet.as_deref()?;
        let now = self.clock.monotonic();
        fleet.desk.is_open(now).then_some((fleet, now))
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

/// The configured callers; those that are known already keep what they have spent.
fn known_callers(
    quotas: &[CallerQuota],
    nodes: NonZeroU32,
    known: &[KnownCaller],
    clock: &Clock,
) -> Vec<KnownCaller> {
    let one = |CallerQuota { name, quota }: &CallerQuota| {
        let (name, quota, part): (Arc<str>, _, _) =
            (name.as_str().into(), *quota, quota.part_of(nodes));
        let (own, share) = match known.iter().find(|known| known.name == name) {
            Some(known) => (known.own.renewed(part), Arc::clone(&known.share)),
            None => {
                (Bucket::new(Limit::Caller, part, Cell::default(), clock), Arc::<Share>::default())
            }
        };
        KnownCaller { name, quota, own, share }
    };
    quotas.iter().map(one).collect()
}

#[cfg(test)]
mod tests;
