//! The one source of time.
//!
//! Every decision that depends on time (freshness, quotas) takes its instant from here, so a
//! test can move time by hand and no test ever sleeps. Deadlines of real I/O are tokio's.
//!
//! Two readings exist because two questions exist: [`Clock::monotonic`] answers "how long
//! since", [`Clock::wall`] answers "what do we tell others".
#![expect(clippy::disallowed_methods, reason = "this is the one place that reads the time")]

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use tokio::time::Instant;

/// How long before the process monotonic time began: what others of a fleet fetched before this
/// process was there has an instant too. Longer than anything may be fresh.
const BEFORE: Duration = Duration::from_hours(366 * 24);

/// A cheap, cloneable handle to the gateway's time source.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    /// tokio's, which a test of many nodes in one process can make virtual.
    System {
        started: Instant,
    },
    Manual {
        elapsed: Arc<watch::Sender<Duration>>,
    },
}

impl Clock {
    /// The clock used outside tests.
    pub fn system() -> Self {
        Self(Source::System { started: Instant::now() })
    }

    /// A clock that stands still until [`Clock::advance`] moves it.
    pub fn manual() -> Self {
        Self(Source::Manual { elapsed: Arc::default() })
    }

    /// Time since an instant that means nothing by itself. Never runs backwards.
    pub fn monotonic(&self) -> Duration {
        match &self.0 {
            Source::System { started } => BEFORE + started.elapsed(),
            Source::Manual { elapsed } => *elapsed.borrow(),
        }
    }

    /// Time since this clock was created.
    pub fn uptime(&self) -> Duration {
        match &self.0 {
            Source::System { started } => started.elapsed(),
            Source::Manual { .. } => self.monotonic(),
        }
    }

    /// Calendar time, for what others read only: never subtracted from anything.
    pub fn wall(&self) -> SystemTime {
        match &self.0 {
            Source::System { .. } => SystemTime::now(),
            Source::Manual { .. } => {
                SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000) + self.monotonic()
            }
        }
    }

    /// The same as time since 1970, as tokens and signatures count it.
    pub fn unix_time(&self) -> Duration {
        self.wall().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
    }

    /// Waits until so much time has passed on this clock.
    pub async fn sleep(&self, wait: Duration) {
        self.sleep_until(self.monotonic() + wait).await;
    }

    /// Times at which a periodic task is due, the first one period from now.
    pub fn every(&self, period: Duration) -> Ticks {
        Ticks { clock: self.clone(), period, next: self.monotonic() + period }
    }

    async fn sleep_until(&self, until: Duration) {
        match &self.0 {
            Source::System { .. } => {
                tokio::time::sleep(until.saturating_sub(self.monotonic())).await;
            }
            Source::Manual { elapsed } => {
                let mut elapsed = elapsed.subscribe();
                // This clock holds the other end.
                _ = elapsed.wait_for(|now| *now >= until).await;
            }
        }
    }

    /// Moves a manual clock forward.
    ///
    /// # Panics
    ///
    /// On a system clock: nobody but a test moves time.
    pub fn advance(&self, by: Duration) {
        let Source::Manual { elapsed } = &self.0 else {
            unreachable!("only a manual clock can be advanced")
        };
        elapsed.send_modify(|elapsed| *elapsed += by);
    }
}

/// The times at which a periodic task is due.
///
/// They are fixed from the start, so a task that takes long, or is first run late, does not shift
/// them. Times that passed meanwhile count as one: a machine that was suspended for an hour does not
/// make up for it.
#[derive(Debug)]
pub struct Ticks {
    clock: Clock,
    period: Duration,
    next: Duration,
}

impl Ticks {
    /// Waits until the task is due; at once if it was due meanwhile.
    ///
    /// Cancel-safe: a tick that was not waited for to its end is still due.
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

    /// Whether a future is ready at once.
    fn is_ready(future: impl Future<Output = ()>) -> bool {
        let mut future = std::pin::pin!(future);
        let waker = std::task::Waker::noop();
        future.as_mut().poll(&mut std::task::Context::from_waker(waker)).is_ready()
    }
}
