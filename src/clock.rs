//! Clock: source of time for all decisions.
//!
//! Every decision that depends on time (freshness, quotas) reads it here. So a test moves time by
//! hand, and no test sleeps. Deadlines of real I/O use tokio's timers.
//!
//! [`Clock::monotonic`] measures elapsed time. [`Clock::wall`] and [`Clock::unix_time`] give
//! calendar time, which may jump.
#![expect(clippy::disallowed_methods, reason = "this is the one place that reads the time")]

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use tokio::time::Instant;

/// Reading of the monotonic clock at the start of the process. It is above zero so that a response
/// which another gateway fetched before the start has an instant too. It exceeds any freshness
/// lifetime.
const BEFORE: Duration = Duration::from_hours(366 * 24);

/// Handle to the gateway's time source; cheap to clone.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    /// tokio's clock. A test of many nodes in one process can make it virtual.
    System {
        started: Instant,
    },
    Manual {
        elapsed: Arc<watch::Sender<Duration>>,
    },
}

impl Clock {
    /// Creates the clock for production.
    pub fn system() -> Self {
        Self(Source::System { started: Instant::now() })
    }

    /// Creates a clock that stands still until [`Clock::advance`] moves it.
    pub fn manual() -> Self {
        Self(Source::Manual { elapsed: Arc::default() })
    }

    /// Returns the time since an arbitrary origin. It never runs backwards.
    pub fn monotonic(&self) -> Duration {
        match &self.0 {
            Source::System { started } => BEFORE + started.elapsed(),
            Source::Manual { elapsed } => *elapsed.borrow(),
        }
    }

    /// Returns the time since this clock was created.
    pub fn uptime(&self) -> Duration {
        match &self.0 {
            Source::System { started } => started.elapsed(),
            Source::Manual { .. } => self.monotonic(),
        }
    }

    /// Returns calendar time, which may jump. Use it only where another party wrote the other time:
    /// tokens, webhooks, certificates, output.
    pub fn wall(&self) -> SystemTime {
        match &self.0 {
            Source::System { .. } => SystemTime::now(),
            Source::Manual { .. } => {
                SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000) + self.monotonic()
            }
        }
    }

    /// Returns calendar time since 1970 (unix time), as tokens and signatures count it.
    pub fn unix_time(&self) -> Duration {
        self.wall().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
    }

    /// Waits until `wait` has passed on this clock.
    pub async fn sleep(&self, wait: Duration) {
        self.sleep_until(self.monotonic() + wait).await;
    }

    /// Returns the ticks of a periodic task. The first one is due one period from now.
    pub fn every(&self, period: Duration) -> Ticks {
        Ticks { clock: self.clone(), period, next: self.monotonic() + period }
    }

    /// Waits until [`Clock::monotonic`] is at least `until`.
    pub async fn sleep_until(&self, until: Duration) {
        match &self.0 {
            Source::System { .. } => {
                tokio::time::sleep(until.saturating_sub(self.monotonic())).await;
            }
            Source::Manual { elapsed } => {
                let mut elapsed = elapsed.subscribe();
                // This clock holds the sender, so the wait cannot fail.
                _ = elapsed.wait_for(|now| *now >= until).await;
            }
        }
    }

    /// Moves a manual clock forward.
    ///
    /// # Panics
    ///
    /// Panics on a system clock: only a test moves time.
    pub fn advance(&self, by: Duration) {
        let Source::Manual { elapsed } = &self.0 else {
            unreachable!("only a manual clock can be advanced")
        };
        elapsed.send_modify(|elapsed| *elapsed += by);
    }
}

/// Ticks of a periodic task.
///
/// Their times are fixed from the start. A task that takes long, or first runs late, does not shift
/// them. Missed ticks count as one: after an hour of suspension the task runs once, not many times.
#[derive(Debug)]
pub struct Ticks {
    clock: Clock,
    period: Duration,
    next: Duration,
}

impl Ticks {
    /// Waits for the next tick; returns at once if one was missed.
    ///
    /// Cancel-safe: if the wait is cancelled, the tick is still due.
    pub async fn tick(&mut self) {
        self.clock.sleep_until(self.next).await;
        let late = self.clock.monotonic().saturating_sub(self.next);
        let missed = late.as_nanos() / self.period.as_nanos().max(1);
        self.next += self.period * u32::try_from(missed).unwrap_or(u32::MAX).saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_tick_that_passed_while_its_task_was_busy_is_not_lost_and_many_are_one() {
        let clock = Clock::manual();
        let mut ticks = clock.every(Duration::from_secs(5));
        let mut is_due = || is_ready(ticks.tick());
        assert!(!is_due());
        clock.advance(Duration::from_secs(6));
        assert!(is_due());
        assert!(!is_due(), "once");
        clock.advance(Duration::from_secs(4));
        assert!(is_due(), "at ten, not eleven");
        clock.advance(Duration::from_hours(1));
        assert!(is_due());
        assert!(!is_due(), "many are one");
        clock.advance(Duration::from_secs(5));
        assert!(is_due());
    }

    /// Returns whether a future is ready at once.
    fn is_ready(future: impl Future<Output = ()>) -> bool {
        let mut future = std::pin::pin!(future);
        let waker = std::task::Waker::noop();
        future.as_mut().poll(&mut std::task::Context::from_waker(waker)).is_ready()
    }
}
