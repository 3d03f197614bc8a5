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

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(100);
    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_longest_of_the_refusals_of_a_time_counts() {
        let mut pause = Pause::None;
        pause.refused(3 * SECOND, NOW);
        pause.refused(SECOND, NOW);
        assert_eq!(pause.left(NOW), 3 * SECOND);
        pause.refused(3 * SECOND, NOW + SECOND);
        assert_eq!(pause.left(NOW), 4 * SECOND);
    }

    #[test]
    fn only_the_probe_ends_a_pause_and_not_a_call_that_left_before_it() {
        let mut pause = Pause::None;
        pause.refused(SECOND, NOW);
        pause.ended(NOW + SECOND);
        assert_eq!(pause.left(NOW), SECOND, "no call has left since");
        let probed = NOW + SECOND;
        pause.sent(probed);
        pause.ended(NOW);
        assert_eq!(pause, Pause::Probing(probed));
        pause.ended(probed);
        assert_eq!(pause, Pause::None);
    }
}
