//! Limit of log lines that any client can cause: one line in a minute, which tells how many events
//! there were since the last one.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Interval between two lines.
const LINE_INTERVAL: Duration = Duration::from_mins(1);

/// Limit of the lines about one kind of event. Nothing is locked.
#[derive(Debug, Default)]
pub struct LineLimit {
    /// Number of events at the last line.
    logged: AtomicU64,
    /// Monotonic time before which there is no further line, in milliseconds.
    next_line_millis: AtomicU64,
}

impl LineLimit {
    /// Returns the number of events since the last line, if a line is due at the monotonic time
    /// `now`. `total`: number of events since the start, with this one.
    pub fn due(&self, total: u64, now: Duration) -> Option<u64> {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let due = self.next_line_millis.load(Ordering::Relaxed);
        if millis(now) < due {
            return None;
        }
        let next = millis(now + LINE_INTERVAL);
        // Several threads may find a line due; one of them writes it.
        self.next_line_millis
            .compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed)
            .ok()?;
        Some(total.saturating_sub(self.logged.swap(total, Ordering::Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_in_a_minute_tells_the_number_of_events_since_the_last() {
        let lines = LineLimit::default();
        let due = |total, second| lines.due(total, Duration::from_secs(second));
        assert_eq!(due(1, 0), Some(1));
        assert_eq!((due(2, 1), due(3, 59)), (None, None));
        assert_eq!(due(4, 60), Some(3));
        assert_eq!(due(5, 119), None);
    }
}
