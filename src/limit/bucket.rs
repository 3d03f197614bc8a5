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

use super::quota::{Limit, Quota, Standing, Throttled};
use super::store::{BoundedStore, Unchanged};
use crate::clock::Clock;

type Limiter<K, S> = RateLimiter<K, S, FromZero, StateInformationMiddleware>;

/// Limiter of one quota, by key.
pub(super) struct Bucket<K, S: StateStore<Key = K>> {
    limit: Limit,
    pub(super) quota: Quota,
    pub(super) store: S,
    limiter: Limiter<K, S>,
    clock: Clock,
}

impl<K: Clone + Eq + Hash, S: StateStore<Key = K> + Clone> Bucket<K, S> {
    pub(super) fn new(limit: Limit, quota: Quota, store: S, clock: &Clock) -> Self {
        let limiter = RateLimiter::new(quota.into(), store.clone(), FromZero::new(clock));
        Self { limit, quota, store, limiter, clock: clock.clone() }
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
    pub(super) fn check(&self, key: &K) -> Result<Standing, Throttled> {
        match self.limiter.check_key(key) {
            Ok(snapshot) => {
                let left = snapshot.remaining_burst_capacity();
                Ok(Standing { limit: self.limit, quota: self.quota, left })
            }
            Err(not_until) => Err(self.throttled(&not_until)),
        }
    }

    fn throttled(&self, not_until: &NotUntil<Nanos>) -> Throttled {
        let wait = not_until.wait_time_from(Nanos::from(self.clock.monotonic()));
        Throttled { limit: self.limit, quota: self.quota, wait }
    }
}

impl<K: Clone + Eq + Hash> Bucket<K, BoundedStore<K>> {
    /// Shortens waits to the time in which a whole burst comes back. A key that was counted against
    /// a slower quota may have a longer one.
    pub(super) fn clamp(&self) {
        self.store.clamp(self.latest());
    }

    /// Returns whether a request would be admitted. Counts nothing.
    pub(super) fn peek(&self, key: &K) -> Result<(), Throttled> {
        let store = Unchanged(&self.store);
        let limiter: Limiter<K, _> =
            RateLimiter::new(self.quota.into(), store, FromZero::new(&self.clock));
        limiter.check_key(key).map(drop).map_err(|not_until| self.throttled(&not_until))
    }
}

impl Bucket<Only, Cell> {
    /// Shortens the wait of the one caller to the time in which a whole burst comes back.
    pub(super) fn clamp(&self) {
        let latest = self.latest();
        let clamped: Result<(), ()> = self.store.measure_and_replace(&Only, |tat| match tat {
            Some(tat) => Ok(((), tat.min(latest))),
            None => Err(()),
        });
        // A cell that was never used has nothing to shorten.
        clamped.unwrap_or_default();
    }
}

/// Clock whose first reading is zero: governor takes that as the limiter's start.
struct FromZero {
    clock: Clock,
    // Set while the limiter is made, before it is shared.
    begun: AtomicBool,
}

impl FromZero {
    fn new(clock: &Clock) -> Self {
        Self { clock: clock.clone(), begun: AtomicBool::new(false) }
    }
}

impl Clone for FromZero {
    fn clone(&self) -> Self {
        let begun = AtomicBool::new(self.begun.load(Ordering::Relaxed));
        Self { clock: self.clock.clone(), begun }
    }
}

impl governor::clock::Clock for FromZero {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        if self.begun.load(Ordering::Relaxed) {
            return Nanos::from(self.clock.monotonic());
        }
        self.begun.store(true, Ordering::Relaxed);
        Nanos::default()
    }
}

/// State of a single caller, shared by successive limiters.
#[derive(Clone, Default)]
pub(super) struct Cell(Arc<InMemoryState>);

/// Only key of a [`Cell`].
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct Only;

impl StateStore for Cell {
    type Key = Only;

    fn measure_and_replace<T, F, E>(&self, _key: &Only, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        self.0.measure_and_replace(&NotKeyed::NonKey, decide)
    }
}
