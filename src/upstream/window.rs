//! What the upstream says of its own limit in `X-RateLimit-Limit` and `-Interval`: no more than so
//! many calls in any interval of that length.
//!
//! It is kept exactly, over the times at which calls left, so that it costs nothing while there is
//! little to do.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::time::Duration;

/// How long what the upstream said is believed, at least, when it says nothing any more or
/// something looser. It may say it only when refusing: each time that it is forgotten costs a
/// refusal.
pub(super) const BELIEVED: Duration = Duration::from_mins(30);
/// Larger limits are no limits: the times of so many calls would have to be kept.
const LIMIT_MAX: u32 = 10_000;
/// A limit of less than one call in this time cannot be meant, and would stop everything for as
/// long as it is believed.
const RARELY: Duration = Duration::from_secs(10);
/// Longest interval that makes sense.
const INTERVAL_MAX: Duration = Duration::from_hours(1);
/// By which part an interval is taken to be longer than it is: calls may take longer to arrive
/// than those that follow them. A larger part wastes as much of what is allowed.
const JITTER: u32 = 50;

/// At most so many calls in any interval.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Window {
    pub(super) limit: NonZeroU32,
    pub(super) interval: Duration,
}

impl Window {
    /// `None`: fields that cannot be meant.
    pub(super) fn new(limit: u64, interval_millis: u64) -> Option<Self> {
        let limit = u32::try_from(limit).ok().filter(|limit| *limit <= LIMIT_MAX)?;
        let limit = NonZeroU32::new(limit)?;
        let interval = Duration::from_millis(interval_millis);
        let sensible = !interval.is_zero() && interval <= INTERVAL_MAX.min(RARELY * limit.get());
        sensible.then_some(Self { limit, interval })
    }

    /// The part of one of so many gateways: none knows when the calls of the others left.
    pub(super) fn part_of(self, nodes: NonZeroU32) -> Self {
        let limit = NonZeroU32::new(self.limit.get() / nodes).unwrap_or(NonZeroU32::MIN);
        Self { limit, ..self }
    }

    /// Time in which one call comes back, on average.
    pub(super) fn interval_each(self) -> Duration {
        self.interval / self.limit.get()
    }

    fn per_second(self) -> f64 {
        f64::from(self.limit.get()) / self.interval.as_secs_f64()
    }

    fn spaced(self) -> Duration {
        self.interval + self.interval / JITTER
    }
}

/// What was said, and since when it is believed.
#[derive(Clone, Copy, Debug)]
struct Learned {
    window: Window,
    at: Duration,
}

impl Learned {
    fn is_believed(&self, now: Duration) -> bool {
        now < self.at + BELIEVED.max(self.window.interval * 2)
    }
}

/// The window that is believed, and the calls that count against it.
#[derive(Debug, Default)]
pub(super) struct LearnedWindow {
    learned: Option<Learned>,
    /// When calls left, the latest last.
    sent: VecDeque<Duration>,
}

impl LearnedWindow {
    /// Takes what the upstream says of itself. Only something tighter is believed at once. True:
    /// it is believed.
    pub(super) fn learn(&mut self, window: Window, now: Duration) -> bool {
        let keeps = |learned: &Learned| {
            learned.window.per_second() < window.per_second() && learned.is_believed(now)
        };
        let believed = !self.learned.as_ref().is_some_and(keeps);
        if believed {
            self.learned = Some(Learned { window, at: now });
        }
        believed
    }

    /// Forgets what is not believed any more.
    pub(super) fn forget(&mut self, now: Duration) {
        self.learned.take_if(|learned| !learned.is_believed(now));
    }

    pub(super) fn window(&self) -> Option<Window> {
        self.learned.map(|learned| learned.window)
    }

    /// A call leaves.
    pub(super) fn sent(&mut self, now: Duration) {
        if self.sent.len() >= LIMIT_MAX as usize {
            self.sent.pop_front();
        }
        self.sent.push_back(now);
    }

    /// How long until fewer calls than its limit have left within its interval.
    pub(super) fn wait(&self, window: Window, now: Duration) -> Duration {
        let oldest = self.sent.len().checked_sub(window.limit.get() as usize);
        let oldest = oldest.and_then(|place| self.sent.get(place));
        oldest.map_or(Duration::ZERO, |sent| (*sent + window.spaced()).saturating_sub(now))
    }

    /// Calls that may leave within it at `now`.
    pub(super) fn left(&self, window: Window, now: Duration) -> u32 {
        let since = now.saturating_sub(window.spaced());
        let sent = self.sent.iter().rev().take_while(|sent| **sent > since).count();
        window.limit.get().saturating_sub(u32::try_from(sent).unwrap_or(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_that_cannot_be_meant_are_not_believed() {
        for (limit, interval) in
            [(0, 1000), (10, 0), (10_001, 1000), (1, 10_001), (1000, 3_600_001), (u64::MAX, 1)]
        {
            assert_eq!(Window::new(limit, interval), None, "{limit} {interval}");
        }
        assert!(Window::new(1000, 900_000).is_some());
    }
}
