//! Rate limiting of callers (GCRA): how many requests each caller may send.
//!
//! It runs once the caller is known and before the cache. So a refused request costs neither a
//! lookup nor an upstream call. Hits count too.
//!
//! The arithmetic is governor's, and so are its terms. Each request is one *cell*. A *quota* is a
//! burst plus the interval at which one cell is replenished. A cell that arrives too early does not
//! conform. This module owns the policy: which caller has which quota, and how much state is kept.
//!
//! - `settings`, `quota`: configured quotas, and the state that is reported about them.
//! - `bucket`: limiter of one quota; `store`: its bounded state for very many keys.
//! - `single`: limiter of a single key; `bounded`: bounded map with eviction.
//! - `subscriber`: address prefix that counts as one caller.
//! - `permits`: limit of concurrent holders of one key.
//! - `fleet`: quotas shared by several nodes. `share` is a node's lease of one quota, `purse` its
//!   leased cells, `shares` the leases of very many callers. `desk` queues the lease requests to
//!   the ledger in Redis.

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

/// Most webhook sender addresses that are tracked: ImageKit has few.
const TRACKED_WEBHOOKS_MAX: usize = 1_000;

/// Quota of one address for webhook deliveries: ImageKit sends an event for each file of a bulk
/// operation.
pub const WEBHOOK_QUOTA: Quota = Quota::new(100, 500).expect("neither is zero");

/// Placeholder for a quota that is not configured.
const UNUSED: Quota = Quota::new(1, 1).expect("neither is zero");

type Addresses = Bucket<Subscriber, BoundedStore<Subscriber>>;

/// Rate limiter of all callers.
pub struct Limits {
    anonymous: Addresses,
    wide: Addresses,
    ipv6: Ipv6Limits,
    callers: Vec<KnownCaller>,
    tokens: Bucket<Subject, BoundedStore<Subject>>,
    /// Whole quota of each token subject. `tokens` holds this node's part of it.
    of_tokens: Quota,
    fleet: Option<Arc<Fleet>>,
    clock: Clock,
    auth_failures: Addresses,
    wide_failures: Addresses,
    webhooks: Addresses,
    pub enforcement: Enforcement,
}

/// Limiter of one configured caller.
struct KnownCaller {
    name: Arc<str>,
    quota: Quota,
    /// Limiter of this node's own part, used while the fleet's ledger is not available.
    own: Bucket<Only, Cell>,
    share: Arc<Share>,
}

impl Limits {
    /// Creates the limiter. `desk` queues lease requests, if the node is in a fleet. Until other
    /// nodes are seen, this node counts as the only one.
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

    /// Returns a limiter with other quotas, or for another number of nodes. What each caller has
    /// spent stays spent. The number of tracked callers does not change.
    #[must_use]
    pub fn renewed(&self, settings: &LimitSettings, nodes: NonZeroU32) -> Self {
        let own = settings.part_of(nodes);
        Self {
            // A quota that is switched off keeps its value. With another value, a caller that has
            // spent it would have it back when it is switched on again.
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

    /// Shortens waits that exceed the current quotas. Call it once the quotas of
    /// [`Limits::renewed`] are in force and the old ones are not.
    pub fn clamp(&self) {
        for addresses in [&self.anonymous, &self.wide, &self.auth_failures, &self.wide_failures] {
            addresses.clamp();
        }
        self.tokens.clamp();
        for caller in &self.callers {
            caller.own.clamp();
        }
    }

    /// Admits one request, or says when to retry.
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

    /// Spends a cell of this node's own part. In a fleet, the ledger is debited later.
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

    /// Returns the fleet and the time, if the ledger is available now.
    fn open_fleet(&self) -> Option<(&Fleet, Duration)> {
        let fleet = self.fleet.as_deref()?;
        let now = self.clock.monotonic();
        fleet.desk.is_open(now).then_some((fleet, now))
    }

    /// Admits one request of an anonymous caller.
    ///
    /// A caller that has used up its own quota spends nothing of its neighbours' quota. A refusal
    /// by the neighbours' quota costs the caller nothing of its own.
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

    /// Admits one webhook delivery, genuine or not.
    ///
    /// # Errors
    ///
    /// [`Throttled`] if the cell does not conform to the address's quota.
    pub fn admit_webhook(&self, from: Subscriber) -> Result<(), Throttled> {
        self.webhooks.check(&from).map(drop)
    }

    /// Counts one failed credential. An error means that its sender is not told why it failed.
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

    /// Returns the subscriber that an address counts as.
    pub fn subscriber(&self, address: IpAddr) -> Subscriber {
        Subscriber::of(address, self.ipv6.prefix)
    }

    /// Returns whether one more failed credential would be admitted. Counts nothing.
    ///
    /// Only then is a credential that is costly to verify worth verifying.
    ///
    /// # Errors
    ///
    /// [`Throttled`] if it would not be admitted.
    pub fn may_fail_auth(&self, from: IpAddr) -> Result<(), Throttled> {
        let subscriber = self.subscriber(from);
        self.auth_failures.peek(&subscriber)?;
        if subscriber.is_v6() {
            self.wide_failures.peek(&Subscriber::of(from, self.ipv6.wide_prefix))?;
        }
        Ok(())
    }

    /// Returns the number of anonymous callers that are tracked now.
    pub fn tracked_callers(&self) -> usize {
        self.anonymous.store.len()
    }
}

/// Creates the limiters of the configured callers. A caller that is known already, by name, keeps
/// what it has spent.
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
