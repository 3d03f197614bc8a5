//! Rate limiter of one quota, with the GCRA state of each key.
//!
//! governor cannot change a quota. So a change builds another limiter over the same store. Each
//! limiter counts from the clock's own zero, so a stored time means the same to all.

use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use governor::middleware::StateInformationMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed, StateStore};
use governor::{NotUntil, RateLimiter};

use super::bounded_store::{BoundedStore, ReadOnlyStore};
use super::quota::{Limit, Quota, QuotaStatus, Throttled};
use crate::clock::Clock;

type GovernorLimiter<K, S> = RateLimiter<K, S, LimiterClock, StateInformationMiddleware>;

/// Limiter of one quota, by key.
pub(super) struct Limiter<K, S: StateStore<Key = K>> {
    limit: Limit,
    pub(super) quota: Quota,
    pub(super) store: S,
    governor: GovernorLimiter<K, S>,
    clock: Clock,
}

impl<K: Clone + Eq + Hash, S: StateStore<Key = K> + Clone> Limiter<K, S> {
    pub(super) fn new(limit: Limit, quota: Quota, store: S, clock: &Clock) -> Self {
        let governor = RateLimiter::new(quota.into(), store.clone(), LimiterClock::new(clock));
        Self { limit, quota, store, governor, clock: clock.clone() }
    }

    /// Returns a limiter with another quota over the same state.
    pub(super) fn renewed(&self, quota: Quota) -> Self {
        Self::new(self.limit, quota, self.store.clone(), &self.clock)
    }

    /// Returns the latest TAT that the quota allows: a whole burst from now.
    fn latest(&self) -> Nanos {
        Nanos::from(self.clock.monotonic() + self.quota.refill())
    }

    /// Admits one request, or says when to retry.
    pub(super) fn check(&self, key: &K) -> Result<QuotaStatus, Throttled> {
        match self.governor.check_key(key) {
            Ok(snapshot) => {
                let left = snapshot.remaining_burst_capacity();
                Ok(QuotaStatus { limit: self.limit, quota: self.quota, left })
            }
            Err(not_until) => Err(self.throttled(&not_until)),
        }
    }

    fn throttled(&self, not_until: &NotUntil<Nanos>) -> Throttled {
        let wait = not_until.wait_time_from(Nanos::from(self.clock.monotonic()));
        Throttled { limit: self.limit, quota: self.quota, wait }
    }
}

impl<K: Clone + Eq + Hash> Limiter<K, BoundedStore<K>> {
    /// Shortens waits to the time in which a whole burst comes back. A key that was counted against
    /// a slower quota may have a longer one.
    pub(super) fn clamp(&self) {
        self.store.clamp(self.latest());
    }

    /// Returns whether a request would be admitted. Counts nothing.
    pub(super) fn peek(&self, key: &K) -> Result<(), Throttled> {
        let store = ReadOnlyStore(&self.store);
        let governor: GovernorLimiter<K, _> =
            RateLimiter::new(self.quota.into(), store, LimiterClock::new(&self.clock));
        governor.check_key(key).map(drop).map_err(|not_until| self.throttled(&not_until))
    }
}

impl Limiter<SingleKey, SingleState> {
    /// Shortens the wait of the one caller to the time in which a whole burst comes back.
    pub(super) fn clamp(&self) {
        let latest = self.latest();
        let clamped: Result<(), ()> = self.store.measure_and_replace(&SingleKey, |tat| match tat {
            Some(tat) => Ok(((), tat.min(latest))),
            None => Err(()),
        });
        // A state that was never used has nothing to shorten.
        clamped.unwrap_or_default();
    }
}

/// Clock whose first reading is zero: governor takes that as the limiter's start.
struct LimiterClock {
    clock: Clock,
    // Set while the limiter is made, before it is shared.
    has_started: AtomicBool,
}

impl LimiterClock {
    fn new(clock: &Clock) -> Self {
        Self { clock: clock.clone(), has_started: AtomicBool::new(false) }
    }
}

impl Clone for LimiterClock {
    fn clone(&self) -> Self {
        let has_started = AtomicBool::new(self.has_started.load(Ordering::Relaxed));
        Self { clock: self.clock.clone(), has_started }
    }
}

impl governor::clock::Clock for LimiterClock {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        if self.has_started.load(Ordering::Relaxed) {
            return Nanos::from(self.clock.monotonic());
        }
        self.has_started.store(true, Ordering::Relaxed);
        Nanos::default()
    }
}

/// State of a single caller, shared by successive limiters.
#[derive(Clone, Default)]
pub(super) struct SingleState(Arc<InMemoryState>);

/// The key of a [`SingleState`].
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct SingleKey;

impl StateStore for SingleState {
    type Key = SingleKey;

    fn measure_and_replace<T, F, E>(&self, _key: &SingleKey, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        self.0.measure_and_replace(&NotKeyed::NonKey, decide)
    }
}
