//! GCRA limiter of a single key that can be queried without counting: the account's call budget.
//!
//! The arithmetic is governor's, which cannot decide without counting. So each decision builds a
//! limiter over a copy of the state, and keeps or drops its result. Callers pass `now`, as time
//! since the clock's zero.

use std::cell::Cell;
use std::num::NonZeroU32;
use std::time::Duration;

use governor::RateLimiter;
use governor::middleware::StateInformationMiddleware;
use governor::nanos::Nanos;
use governor::state::{NotKeyed, StateStore};

use super::quota::Quota;

/// Limiter of one quota (GCRA).
#[derive(Clone, Copy, Debug)]
pub struct SingleLimiter {
    quota: governor::Quota,
    /// Theoretical arrival time: when all spent cells have come back.
    tat: Option<Nanos>,
}

/// Result of a check whose cells conform.
struct Conforming {
    /// Cells that are left after it.
    left: u32,
    tat: Option<Nanos>,
}

impl SingleLimiter {
    pub fn new(quota: Quota) -> Self {
        Self { quota: quota.into(), tat: None }
    }

    /// Creates a limiter whose burst comes back in `interval`. `None` if either is too small.
    pub fn of_window(burst: NonZeroU32, interval: Duration) -> Option<Self> {
        let quota = governor::Quota::with_period(interval / burst.get())?.allow_burst(burst);
        Some(Self { quota, tat: None })
    }

    /// Changes the quota from `now` on.
    ///
    /// Spent cells stay spent, but for no longer than a whole burst takes to come back.
    pub fn set_quota(&mut self, quota: Quota, now: Duration) {
        let latest = Nanos::from(now + quota.refill());
        self.quota = quota.into();
        self.tat = self.tat.map(|tat| tat.min(latest));
    }

    /// Spends one cell.
    ///
    /// # Errors
    ///
    /// The time until a cell conforms.
    pub fn spend(&mut self, now: Duration) -> Result<(), Duration> {
        let conforming = self.check(NonZeroU32::MIN, now).map_err(Option::unwrap_or_default)?;
        self.tat = conforming.tat;
        Ok(())
    }

    /// Returns the time until so many cells conform at once; `None` if they exceed the burst.
    pub fn wait(&self, cells: NonZeroU32, now: Duration) -> Option<Duration> {
        match self.check(cells, now) {
            Ok(_) => Some(Duration::ZERO),
            Err(wait) => wait,
        }
    }

    /// Returns the number of cells that conform at `now`.
    pub fn left(&self, now: Duration) -> u32 {
        self.check(NonZeroU32::MIN, now).map_or(0, |conforming| conforming.left + 1)
    }

    fn check(&self, cells: NonZeroU32, now: Duration) -> Result<Conforming, Option<Duration>> {
        let now = Nanos::from(now);
        let clock = FixedClock { now, has_started: Cell::new(false) };
        let limiter =
            RateLimiter::<NotKeyed, CopiedState, FixedClock, StateInformationMiddleware>::new(
                self.quota,
                CopiedState(Cell::new(self.tat)),
                clock,
            );
        match limiter.check_n(cells) {
            Ok(Ok(snapshot)) => {
                let left = snapshot.remaining_burst_capacity();
                Ok(Conforming { left, tat: limiter.into_state_store().0.get() })
            }
            Ok(Err(not_until)) => Err(Some(not_until.wait_time_from(now))),
            Err(_more_than_the_burst) => Err(None),
        }
    }
}

/// Copy of the state of the single key.
struct CopiedState(Cell<Option<Nanos>>);

impl StateStore for CopiedState {
    type Key = NotKeyed;

    fn measure_and_replace<T, F, E>(&self, _key: &NotKeyed, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let (verdict, tat) = decide(self.0.get())?;
        self.0.set(Some(tat));
        Ok(verdict)
    }
}

/// Clock whose first reading is zero, which governor takes as the limiter's start, and then `now`.
#[derive(Clone)]
struct FixedClock {
    now: Nanos,
    has_started: Cell<bool>,
}

impl governor::clock::Clock for FixedClock {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        if self.has_started.replace(true) { self.now } else { Nanos::default() }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cells(count: u32) -> NonZeroU32 {
        NonZeroU32::new(count).unwrap()
    }

    #[test]
    fn a_query_counts_nothing_and_returns_the_wait() {
        let mut limiter = SingleLimiter::new(Quota::new(10, 4).unwrap());
        let now = Duration::from_secs(100);
        for _ in 0..10 {
            assert_eq!(limiter.wait(cells(4), now), Some(Duration::ZERO));
            assert_eq!(limiter.left(now), 4);
        }
        assert_eq!(limiter.wait(cells(5), now), None);
        for left in (0..4).rev() {
            limiter.spend(now).unwrap();
            assert_eq!(limiter.left(now), left);
        }
        assert_eq!(limiter.spend(now), Err(Duration::from_millis(100)));
        assert_eq!(limiter.wait(cells(3), now), Some(Duration::from_millis(300)));
        assert_eq!(limiter.left(now + Duration::from_millis(250)), 2);
    }

    #[test]
    fn a_new_quota_keeps_spent_cells_and_bounds_the_wait_by_its_own_burst() {
        let mut limiter = SingleLimiter::new(Quota::new(1, 100).unwrap());
        let now = Duration::from_secs(100);
        for _ in 0..100 {
            limiter.spend(now).unwrap();
        }
        limiter.set_quota(Quota::new(10, 10).unwrap(), now);
        assert_eq!(limiter.spend(now), Err(Duration::from_millis(100)));
        assert_eq!(limiter.left(now + Duration::from_secs(1)), 10);
    }

    proptest! {
        /// The decisions equal those of GCRA, computed here directly.
        #[test]
        fn decisions_equal_gcra(
            per_second in 1..1000_u32,
            burst in 1..50_u32,
            steps in prop::collection::vec((0..2_000_000_u64, 1..60_u32), 1..200),
        ) {
            let quota = Quota::new(per_second, burst).unwrap();
            let (mut limiter, interval) = (SingleLimiter::new(quota), quota.interval());
            let (mut now, mut tat) = (Duration::from_secs(5), Duration::ZERO);
            for (gap, asked) in steps {
                now += Duration::from_micros(gap);
                let owed = tat.saturating_sub(now);
                let expected = (asked <= burst)
                    .then(|| owed.saturating_sub(interval * (burst - asked)));
                prop_assert_eq!(limiter.wait(cells(asked), now), expected);
                let spent = limiter.spend(now);
                prop_assert_eq!(spent.is_ok(), owed <= interval * (burst - 1));
                if spent.is_ok() {
                    tat = tat.max(now) + interval;
                }
            }
        }
    }
}
