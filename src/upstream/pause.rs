//! Pause after a 429: nothing leaves for as long as the upstream said, and then one call alone.

use std::time::Duration;

/// Longest pause: a mistaken field must not stop everything for a day.
pub(super) const PAUSE_MAX: Duration = Duration::from_mins(1);
/// How long a probe may be under way before another one leaves.
pub(super) const PROBE_MAX: Duration = Duration::from_secs(10);
/// How often a call that waits for a probe looks whether it is back.
pub(super) const PROBE_LOOK: Duration = Duration::from_millis(50);

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Pause {
    #[default]
    None,
    /// Nothing leaves until then.
    Until(Duration),
    /// One call left at this time to see whether the pause was long enough.
    Probing(Duration),
}

impl Pause {
    /// How long until a call may leave.
    pub(super) fn left(self, now: Duration) -> Duration {
        match self {
            Self::None => Duration::ZERO,
            Self::Until(at) => at.saturating_sub(now),
            Self::Probing(since) => (since + PROBE_MAX).saturating_sub(now).min(PROBE_LOOK),
        }
    }

    /// The upstream has refused a call, and said how long to wait.
    pub(super) fn refused(&mut self, wait: Duration, now: Duration) {
        let until = now + wait.min(PAUSE_MAX);
        *self = match *self {
            // Another refusal of the same time may know less.
            Self::Until(at) => Self::Until(at.max(until)),
            Self::None | Self::Probing(_) => Self::Until(until),
        };
    }

    /// A call leaves: the first after a pause is a probe.
    pub(super) fn sent(&mut self, now: Duration) {
        if *self != Self::None {
            *self = Self::Probing(now);
        }
    }

    /// A call that left at `sent` ended in any way but a refusal.
    pub(super) fn ended(&mut self, sent: Duration) {
        // A call that left before the pause says nothing about it.
        if matches!(self, Self::Probing(since) if *since <= sent) {
            *self = Self::None;
        }
    }
}
