//! One quota and the cells that are counted against it.
//!
//! A quota cannot change in governor. So a change builds another limiter over the same store:
//! every limiter counts from the clock's own zero, and a stored time means the same to all.

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

/// Counts each key's requests against one quota.
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

    /// The same cells, counted against another quota from now on.
    pub(super) fn renewed(&self, quota: Quota) -> Self {
        Self::new(self.limit, quota, self.store.clone(), &self.clock)
    }

    /// The latest time that a cell may stand at: a whole burst from now.
    fn latest(&self) -> Nanos {
        Nanos::from(self.clock.monotonic() + self.quota.refill())
    }

    /// Admits one request, or says when to come back.
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
    /// Lets nobody wait for longer than a whole burst takes to come back: whoever was counted
    /// against a slower quota might have to.
    pub(super) fn clamp(&self) {
        self.store.clamp(self.latest());
    }

    /// Whether a request would be admitted. Counts nothing.
    pub(super) fn peek(&self, key: &K) -> Result<(), Throttled> {
        let store = Unchanged(&self.store);
        let limiter: Limiter<K, _> =
            RateLimiter::new(self.quota.into(), store, FromZero::new(&self.clock));
        limiter.check_key(key).map(drop).map_err(|not_until| self.throttled(&not_until))
    }
}

impl Bucket<Only, Cell> {
    /// The same for one caller.
    pub(super) fn clamp(&self) {
        let latest = self.latest();
        let clamped: Result<(), ()> = self.store.measure_and_replace(&Only, |tat| match tat {
            Some(tat) => Ok(((), tat.min(latest))),
            None => Err(()),
        });
        // Nothing to clamp in a cell that nobody has used.
        clamped.unwrap_or_default();
    }
}

/// A clock whose first reading is zero: governor takes that one for the limiter's beginning.
struct FromZero {
    clock: Clock,
    // Set while the limiter is made, so before anybody else has it.
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

/// The state of one caller alone, shared by the limiters that follow each other.
#[derive(Clone, Default)]
pub(super) struct Cell(Arc<InMemoryState>);

/// The only key of a [`Cell`].
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
