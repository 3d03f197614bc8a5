//! Pause that the upstream requested, by a 429 or by a 503 with a wait: no call leaves for as long as
//! it said, then one probe.

use std::time::Duration;

/// Longest pause. A wrong header field must not stop all calls for a day.
pub(super) const PAUSE_MAX: Duration = Duration::from_mins(1);
/// Time after which a probe counts as lost and another may leave.
pub(super) const PROBE_MAX: Duration = Duration::from_secs(10);
/// Interval at which a call that waits for a probe checks whether it has returned.
pub(super) const PROBE_LOOK: Duration = Duration::from_millis(50);

/// State of the pause.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Pause {
    #[default]
    None,
    /// No call leaves until this time.
    Until(Duration),
    /// A probe left at this time, to test whether the pause was long enough.
    Probing(Duration),
}

impl Pause {
    /// Returns the time until a call may leave.
    pub(super) fn left(self, now: Duration) -> Duration {
        match self {
            Self::None => Duration::ZERO,
            Self::Until(at) => at.saturating_sub(now),
            Self::Probing(since) => (since + PROBE_MAX).saturating_sub(now).min(PROBE_LOOK),
        }
    }

    /// Records a request to pause, with the wait that the upstream stated.
    pub(super) fn begin(&mut self, wait: Duration, now: Duration) {
        let until = now + wait.min(PAUSE_MAX);
        *self = match *self {
            // A second one of the same period may state a shorter wait; the longer one counts.
            Self::Until(at) => Self::Until(at.max(until)),
            Self::None | Self::Probing(_) => Self::Until(until),
        };
    }

    /// Records a call that leaves. The first one after a pause is the probe.
    pub(super) fn sent(&mut self, now: Duration) {
        if *self != Self::None {
            *self = Self::Probing(now);
        }
    }

    /// Records that a call which left at `sent` ended without such a request.
    pub(super) fn end(&mut self, sent: Duration) {
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
        pause.begin(3 * SECOND, NOW);
        pause.begin(SECOND, NOW);
        assert_eq!(pause.left(NOW), 3 * SECOND);
        pause.begin(3 * SECOND, NOW + SECOND);
        assert_eq!(pause.left(NOW), 4 * SECOND);
    }

    #[test]
    fn only_the_probe_ends_a_pause_and_not_a_call_that_left_before_it() {
        let mut pause = Pause::None;
        pause.begin(SECOND, NOW);
        pause.end(NOW + SECOND);
        assert_eq!(pause.left(NOW), SECOND, "no call has left since");
        let probed = NOW + SECOND;
        pause.sent(probed);
        pause.end(NOW);
        assert_eq!(pause, Pause::Probing(probed));
        pause.end(probed);
        assert_eq!(pause, Pause::None);
    }
}
