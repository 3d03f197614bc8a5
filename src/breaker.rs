//! Circuit breaker, as a pure decision: callers pass `now`.
//!
//! It opens after consecutive failures, and then admits one probe at a time.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Number of consecutive failures that open the breaker, and for how long it stays open.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BreakerSettings {
    pub failures: u32,
    pub open_for: Duration,
}

/// Circuit breaker: stops calls after consecutive failures, then admits one probe.
#[derive(Debug)]
pub struct Breaker {
    settings: BreakerSettings,
    state: State,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    Closed {
        failures: u32,
    },
    Open {
        until: Duration,
    },
    /// One probe left at `since` and has not returned.
    HalfOpen {
        since: Duration,
    },
}

/// State of the breaker, for metrics and status pages.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BreakerState {
    Closed,
    HalfOpen,
    Open,
}

/// Change of state that an outcome caused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Transition {
    None,
    Closed,
    Opened,
}

impl Breaker {
    pub fn new(settings: BreakerSettings) -> Self {
        Self { settings, state: State::Closed { failures: 0 } }
    }

    /// Returns `Ok` if a call could leave at `now`, else how long until one could.
    pub fn peek(&self, now: Duration) -> Result<(), Duration> {
        let until = match self.state {
            State::Closed { .. } => return Ok(()),
            State::Open { until } => until,
            // If a probe never returns, another one may follow.
            State::HalfOpen { since } => since + self.settings.open_for,
        };
        let wait = until.saturating_sub(now);
        if wait.is_zero() { Ok(()) } else { Err(wait) }
    }

    /// Admits a call at `now`, or returns how long until one may leave.
    pub fn admit(&mut self, now: Duration) -> Result<(), Duration> {
        self.peek(now)?;
        if !matches!(self.state, State::Closed { .. }) {
            self.state = State::HalfOpen { since: now };
        }
        Ok(())
    }

    /// Records a success.
    pub fn succeeded(&mut self) -> Transition {
        let change = match self.state {
            State::Closed { .. } => Transition::None,
            State::HalfOpen { .. } => Transition::Closed,
            // The call left before the breaker opened.
            State::Open { .. } => return Transition::None,
        };
        self.state = State::Closed { failures: 0 };
        change
    }

    /// Records a failure.
    pub fn failed(&mut self, now: Duration) -> Transition {
        let failures = match self.state {
            State::Closed { failures } => failures + 1,
            State::HalfOpen { .. } => {
                // The breaker stays open, so there is no change to report.
                self.state = State::Open { until: now + self.settings.open_for };
                return Transition::None;
            }
            // The call left before the breaker opened.
            State::Open { .. } => return Transition::None,
        };
        if failures < self.settings.failures {
            self.state = State::Closed { failures };
            return Transition::None;
        }
        self.state = State::Open { until: now + self.settings.open_for };
        Transition::Opened
    }

    /// Returns the state as a call would find it at `now`: half-open as soon as a probe may leave.
    pub fn state(&self, now: Duration) -> BreakerState {
        match self.state {
            State::Closed { .. } => BreakerState::Closed,
            State::Open { until } if now < until => BreakerState::Open,
            State::Open { .. } | State::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    fn breaker() -> Breaker {
        Breaker::new(BreakerSettings { failures: 3, open_for: secs(5) })
    }

    #[test]
    fn only_failures_in_a_row_open_it() {
        let mut breaker = breaker();
        for _ in 0..10 {
            assert_eq!(breaker.failed(secs(0)), Transition::None);
            assert_eq!(breaker.failed(secs(0)), Transition::None);
            assert_eq!(breaker.succeeded(), Transition::None);
        }
        breaker.failed(secs(1));
        breaker.failed(secs(1));
        assert_eq!(breaker.failed(secs(1)), Transition::Opened);
        assert_eq!(breaker.admit(secs(2)), Err(secs(4)));
    }

    #[test]
    fn one_probe_decides_how_it_goes_on() {
        let mut breaker = breaker();
        for _ in 0..3 {
            breaker.failed(secs(0));
        }
        assert_eq!(breaker.state(secs(4)), BreakerState::Open);
        assert_eq!(breaker.state(secs(5)), BreakerState::HalfOpen, "nobody has called yet");
        assert_eq!(breaker.admit(secs(5)), Ok(()));
        assert_eq!(breaker.state(secs(6)), BreakerState::HalfOpen);
        assert_eq!(breaker.admit(secs(6)), Err(secs(4)), "one at a time");
        assert_eq!(breaker.failed(secs(7)), Transition::None);
        assert_eq!(breaker.failed(secs(7)), Transition::None, "a late one changes nothing");
        assert_eq!(breaker.succeeded(), Transition::None, "nor does a late success");
        assert_eq!(breaker.admit(secs(11)), Err(secs(1)));
        assert_eq!(breaker.admit(secs(12)), Ok(()));
        assert_eq!(breaker.succeeded(), Transition::Closed);
        assert_eq!(breaker.admit(secs(12)), Ok(()));
        assert_eq!(breaker.state(secs(6)), BreakerState::Closed);
    }

    #[test]
    fn a_probe_that_is_lost_is_followed_by_another() {
        let mut breaker = breaker();
        for _ in 0..3 {
            breaker.failed(secs(0));
        }
        assert_eq!(breaker.admit(secs(5)), Ok(()));
        assert_eq!(breaker.admit(secs(10)), Ok(()));
    }
}
