//! Recent latency of the upstream: median duration of the last 16 usable answers.
//!
//! A call that could not return before its deadline is not sent. The latency counts as half of a
//! fill's time at most, so that calls still leave when the upstream is slow.

use std::time::Duration;

/// Number of answers that are remembered. More react to a change more slowly; fewer let one answer
/// decide.
const REMEMBERED: usize = 16;

/// Ring buffer of the durations of the last answers.
#[derive(Debug, Default)]
pub(super) struct Latency {
    last: [Duration; REMEMBERED],
    /// Number of answers so far.
    count: usize,
}

impl Latency {
    /// Records the duration of one answer.
    pub(super) fn took(&mut self, duration: Duration) {
        if let Some(place) = self.last.get_mut(self.count % REMEMBERED) {
            *place = duration;
        }
        self.count = self.count.wrapping_add(1);
    }

    /// Returns the time that a call needs: the median of the last answers, zero before the first.
    ///
    /// It is at most half of `whole`, the time of a fill. So calls still leave when the upstream is
    /// slow, and the gateway learns when it is faster.
    pub(super) fn needed(&self, whole: Duration) -> Duration {
        let mut sorted = self.last;
        let known = self.count.min(REMEMBERED);
        let Some(known) = sorted.get_mut(..known) else { return Duration::ZERO };
        known.sort_unstable();
        known.get(known.len() / 2).copied().unwrap_or_default().min(whole / 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: Duration = Duration::from_secs(10);

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_call_needs_what_half_of_the_last_ones_took() {
        let mut latency = Latency::default();
        assert_eq!(latency.needed(WHOLE), Duration::ZERO);
        latency.took(millis(100));
        assert_eq!(latency.needed(WHOLE), millis(100));
        for took in [10, 20, 9000] {
            latency.took(millis(took));
        }
        assert_eq!(latency.needed(WHOLE), millis(100));
        for _ in 0..REMEMBERED {
            latency.took(millis(30));
        }
        assert_eq!(latency.needed(WHOLE), millis(30), "what is long ago is forgotten");
    }

    #[test]
    fn a_call_needs_no_more_than_half_of_its_time() {
        let mut latency = Latency::default();
        latency.took(millis(9000));
        assert_eq!(latency.needed(WHOLE), millis(5000));
    }
}
