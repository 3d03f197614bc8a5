//! Times at which a key set is fetched, as pure decisions.

use std::time::Duration;

/// Shortest time between two fetches. A sender of made-up `kid`s causes no more than this.
const INTERVAL_MIN: Duration = Duration::from_secs(10);

/// Time after a failed fetch while an older set is in force.
const RETRY: Duration = Duration::from_mins(1);

/// Times of the fetches of one key set.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Schedule {
    due: Duration,
    on_request: Duration,
}

/// Result of one fetch.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Fetched {
    /// A set that may be used for this time.
    Set { lifetime: Duration },
    /// No set, and an older one is in force.
    KeptOlder,
    /// No set, and none was fetched before: every token is refused.
    None,
}

impl Schedule {
    /// Returns a schedule whose first fetch is due now.
    pub(super) fn new(now: Duration) -> Self {
        Self { due: now, on_request: now }
    }

    /// Returns the time of the next fetch.
    pub(super) fn due(&self) -> Duration {
        self.due
    }

    /// Returns the time of the next fetch if a token has named an unknown `kid`.
    pub(super) fn due_on_request(&self) -> Duration {
        self.on_request.min(self.due)
    }

    /// Returns the schedule after a fetch that began at `began`.
    pub(super) fn after(began: Duration, fetched: Fetched) -> Self {
        let wait = match fetched {
            Fetched::Set { lifetime } => lifetime.max(INTERVAL_MIN),
            Fetched::KeptOlder => RETRY,
            Fetched::None => INTERVAL_MIN,
        };
        Self { due: began + wait, on_request: began + INTERVAL_MIN }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_fetched_when_it_is_old_and_sooner_if_it_is_needed() {
        let at = Duration::from_secs;
        let times = |schedule: Schedule| (schedule.due(), schedule.due_on_request());
        assert_eq!(times(Schedule::new(at(7))), (at(7), at(7)));
        for (fetched, due) in [
            (Fetched::Set { lifetime: at(900) }, 907),
            (Fetched::Set { lifetime: at(0) }, 17),
            (Fetched::KeptOlder, 67),
            (Fetched::None, 17),
        ] {
            assert_eq!(times(Schedule::after(at(7), fetched)), (at(due), at(17)), "{fetched:?}");
        }
    }
}
