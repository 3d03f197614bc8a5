//! Rate limiter of all callers: which quota applies to a caller, and whether a request conforms.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use super::bounded_store::BoundedStore;
use super::caller_limiter::{self, CallerLimiter};
use super::lease::{FleetQuotas, LeaseQueue, QuotaLease, SharedKey};
use super::limiter::{Limiter, SingleKey};
use super::quota::{Limit, Quota, QuotaStatus, Throttled};
use super::settings::{Enforcement, LimitSettings};
use super::subscriber::{Ipv6Limits, Subscriber};
use crate::caller::{Caller, CallerId, Subject};
use crate::clock::Clock;

/// Most webhook sender addresses that are tracked: ImageKit has few.
const TRACKED_WEBHOOKS_MAX: usize = 1_000;

/// Quota of one address for webhook deliveries: ImageKit sends an event for each file of a bulk
/// operation.
pub const WEBHOOK_QUOTA: Quota = Quota::new(100, 500).expect("neither is zero");

/// Quota of an address while callers without a credential are refused: only the help documents
/// spend from it.
const HELP_QUOTA: Quota = Quota::new(10, 20).expect("neither is zero");

/// Placeholder for a quota that is not configured.
const UNUSED: Quota = Quota::new(1, 1).expect("neither is zero");

/// Limiter of addresses or wide prefixes.
type AddressLimiter = Limiter<Subscriber, BoundedStore<Subscriber>>;

/// Rate limiter of all callers.
pub struct Limits {
    anonymous: AddressLimiter,
    wide: AddressLimiter,
    ipv6: Ipv6Limits,
    callers: Vec<CallerLimiter>,
    tokens: Limiter<Subject, BoundedStore<Subject>>,
    /// Whole quota of each token subject. `tokens` holds this node's part of it.
    token_quota: Quota,
    fleet: Option<Arc<FleetQuotas>>,
    clock: Clock,
    auth_failures: AddressLimiter,
    wide_failures: AddressLimiter,
    webhooks: AddressLimiter,
    pub enforcement: Enforcement,
}

impl Limits {
    /// Creates the limiter. `lease_queue` queues lease requests, if the node is in a fleet. Until
    /// other nodes are seen, this node counts as the only one.
    pub fn new(
        settings: &LimitSettings,
        lease_queue: Option<Arc<LeaseQueue>>,
        clock: &Clock,
    ) -> Self {
        let tracked = settings.max_tracked_callers;
        let anonymous = settings.anonymous.unwrap_or(HELP_QUOTA);
        let wide = anonymous.times(settings.ipv6.wide_factor);
        let addresses = |limit, quota, tracked| {
            Limiter::new(limit, quota, BoundedStore::new(tracked, clock.clone()), clock)
        };
        let subjects = BoundedStore::new(tracked, clock.clone());
        let fleet = |queue| Arc::new(FleetQuotas::new(queue, tracked));
        Self {
            anonymous: addresses(Limit::Address, anonymous, tracked),
            wide: addresses(Limit::Prefix, wide, tracked),
            ipv6: settings.ipv6,
            callers: caller_limiter::limiters(&settings.callers, NonZeroU32::MIN, &[], clock),
            tokens: Limiter::new(Limit::Caller, settings.tokens.unwrap_or(UNUSED), subjects, clock),
            auth_failures: addresses(Limit::Auth, settings.auth_failures, tracked),
            wide_failures: addresses(Limit::Auth, settings.wide_failures(), tracked),
            webhooks: addresses(Limit::Webhook, WEBHOOK_QUOTA, TRACKED_WEBHOOKS_MAX),
            token_quota: settings.tokens.unwrap_or(UNUSED),
            fleet: lease_queue.map(fleet),
            enforcement: settings.enforcement,
            clock: clock.clone(),
        }
    }

    /// Returns a limiter with other quotas, or for another number of nodes. What each caller has
    /// spent stays spent. `max_tracked_callers` does not change.
    #[must_use]
    pub fn renewed(&self, settings: &LimitSettings, nodes: NonZeroU32) -> Self {
        let own = settings.part_of(nodes);
        Self {
            // A quota that is switched off keeps its value. With another value, a caller that has
            // spent it would have it back when it is switched on again.
            anonymous: self.anonymous.renewed(own.anonymous.unwrap_or(self.anonymous.quota)),
            wide: self.wide.renewed(own.wide().unwrap_or(self.wide.quota)),
            ipv6: own.ipv6,
            callers: caller_limiter::limiters(&settings.callers, nodes, &self.callers, &self.clock),
            tokens: self.tokens.renewed(own.tokens.unwrap_or(self.tokens.quota)),
            auth_failures: self.auth_failures.renewed(own.auth_failures),
            wide_failures: self.wide_failures.renewed(own.wide_failures()),
            webhooks: self.webhooks.renewed(WEBHOOK_QUOTA),
            token_quota: settings.tokens.unwrap_or(self.token_quota),
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
            caller.local.clamp();
        }
    }

    /// Admits one request, or says when to retry.
    ///
    /// # Errors
    ///
    /// [`Throttled`] if the cell does not conform to the caller's quota.
    pub fn admit(&self, caller: &Caller) -> Result<QuotaStatus, Throttled> {
        match caller {
            Caller::Anonymous(address) => self.admit_address(*address),
            Caller::Known(CallerId(index)) => {
                let known = self.callers.get(*index);
                let known = known.expect("each configured caller has a quota");
                match self.available_fleet() {
                    Some((fleet, now)) => {
                        let key = || SharedKey::Caller(Arc::clone(&known.name));
                        fleet.spend(key, known.quota, &known.lease, now)
                    }
                    None => self
                        .spend_local(&known.lease, known.quota, || known.local.check(&SingleKey)),
                }
            }
            Caller::Token(token) => self.admit_subject(token.subject),
        }
    }

    fn admit_subject(&self, subject: Subject) -> Result<QuotaStatus, Throttled> {
        let Some(fleet) = &self.fleet else { return self.tokens.check(&subject) };
        let now = self.clock.monotonic();
        let Some(lease) = fleet.subject(subject, self.token_quota, now) else {
            return self.tokens.check(&subject);
        };
        if fleet.is_available(now) {
            return fleet.spend(|| SharedKey::Subject(subject), self.token_quota, &lease, now);
        }
        self.spend_local(&lease, self.token_quota, || self.tokens.check(&subject))
    }

    /// Spends a cell of this node's own part. In a fleet, the ledger is debited later.
    fn spend_local(
        &self,
        lease: &QuotaLease,
        quota: Quota,
        check: impl FnOnce() -> Result<QuotaStatus, Throttled>,
    ) -> Result<QuotaStatus, Throttled> {
        let status = check()?;
        if self.fleet.is_some() {
            lease.add_debt(quota, self.clock.monotonic());
        }
        Ok(status)
    }

    /// Returns the fleet and the time, if the ledger is available now.
    fn available_fleet(&self) -> Option<(&FleetQuotas, Duration)> {
        let fleet = self.fleet.as_deref()?;
        let now = self.clock.monotonic();
        fleet.is_available(now).then_some((fleet, now))
    }

    /// Admits one request of an anonymous caller.
    ///
    /// A caller that has used up its own quota spends nothing of its neighbours' quota. A refusal
    /// by the neighbours' quota costs the caller nothing of its own.
    fn admit_address(&self, address: IpAddr) -> Result<QuotaStatus, Throttled> {
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
    /// If not, a credential that is costly to verify is not verified.
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

#[cfg(test)]
mod tests;
