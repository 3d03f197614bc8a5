//! Sliding window: the upstream's own rate limit, from `X-RateLimit-Limit` and `-Interval`.
//!
//! At most `limit` calls leave in any interval of that length. The window keeps the time of each
//! call, so it is exact, and costs nothing while traffic is low.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::time::Duration;

/// Shortest time for which a stated limit is believed, if the upstream then states none or a looser
/// one.
///
/// An upstream may state its limit only when it refuses: each time the gateway forgets it, one call
/// is refused.
pub(super) const BELIEVED: Duration = Duration::from_mins(30);
/// Largest limit that is believed: the window keeps the time of each of these calls.
const LIMIT_MAX: u32 = 10_000;
/// Longest time for one call. A limit of fewer calls is not plausible, and would stop all calls for
/// as long as it is believed.
const RARELY: Duration = Duration::from_secs(10);
/// Longest interval that is believed.
const INTERVAL_MAX: Duration = Duration::from_hours(1);
/// Divisor of the margin that is added to an interval: 1/50 of its length.
///
/// A call may take longer to arrive than the calls that follow it. A larger margin wastes as much
/// of the allowed rate.
const JITTER: u32 = 50;

/// Rate limit of at most `limit` calls in any `interval`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Window {
    pub(super) limit: NonZeroU32,
    pub(super) interval: Duration,
}

impl Window {
    /// Creates a window; `None` if the values are not plausible.
    pub(super) fn new(limit: u64, interval_millis: u64) -> Option<Self> {
        let limit = u32::try_from(limit).ok().filter(|limit| *limit <= LIMIT_MAX)?;
        let limit = NonZeroU32::new(limit)?;
        let interval = Duration::from_millis(interval_millis);
        let sensible = !interval.is_zero() && interval <= INTERVAL_MAX.min(RARELY * limit.get());
        sensible.then_some(Self { limit, interval })
    }

    /// Returns one gateway's part of the window in a fleet of `nodes`. No gateway knows when the
    /// calls of the others left.
    pub(super) fn part_of(self, nodes: NonZeroU32) -> Self {
        let limit = NonZeroU32::new(self.limit.get() / nodes).unwrap_or(NonZeroU32::MIN);
        Self { limit, ..self }
    }

    /// Returns the time in which one call comes back, on average.
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

/// Window that the upstream stated, and when it did.
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

/// Window that is believed, and the times of the calls that count against it.
#[derive(Debug, Default)]
pub(super) struct LearnedWindow {
    learned: Option<Learned>,
    /// Times at which calls left, latest last.
    sent: VecDeque<Duration>,
}

impl LearnedWindow {
    /// Learns a window that the upstream states. Returns whether it is believed now.
    ///
    /// A tighter window is believed at once. A looser one replaces the old one only when that is no
    /// longer believed.
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

    /// Forgets the window if it is no longer believed.
    pub(super) fn forget(&mut self, now: Duration) {
        self.learned.take_if(|learned| !learned.is_believed(now));
    }

    pub(super) fn window(&self) -> Option<Window> {
        self.learned.map(|learned| learned.window)
    }

    /// Records a call that leaves at `now`.
    pub(super) fn sent(&mut self, now: Duration) {
        if self.sent.len() >= LIMIT_MAX as usize {
            self.sent.pop_front();
        }
        self.sent.push_back(now);
    }

    /// Returns the time until fewer calls than the limit have left within the interval.
    pub(super) fn wait(&self, window: Window, now: Duration) -> Duration {
        let oldest = self.sent.len().checked_sub(window.limit.get() as usize);
        let oldest = oldest.and_then(|place| self.sent.get(place));
        oldest.map_or(Duration::ZERO, |sent| (*sent + window.spaced()).saturating_sub(now))
    }

    /// Returns the number of calls that may leave within `window` at `now`.
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
