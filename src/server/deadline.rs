//! How long a connection may do what it does. Each limit is its own: an idle connection is not a
//! slow head, and a slow reader is neither.

use std::pin::Pin;
use std::task::Context;
use std::time::Duration;

use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};

use super::ServerSettings;
use super::event::Deadline;

/// The part of [`ServerSettings`] that is about time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    header: Duration,
    idle: Duration,
    write_stall: Duration,
    linger: Duration,
    /// Of this connection: they do not all end at once.
    age: Duration,
}

/// What a connection does. The numbers only tell one from the next: as long as they stay the
/// same, nothing has happened.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Phase {
    /// More requests were abandoned than is believable.
    Abandoned,
    /// At least one request is being answered. That has deadlines of its own.
    Answering,
    /// Part of a head is here.
    Head { turn: u32 },
    /// Nothing is asked for.
    Idle { turn: u32 },
    /// The oldest answer that nobody takes has not been moving since then.
    Sending { since: Instant },
    /// The socket takes no more.
    Writing { written: u32 },
}

impl Limits {
    pub(super) fn new(settings: &ServerSettings) -> Self {
        // Shortens only, by a tenth at most.
        let age = settings.max_connection_age.mul_f64(1.0 - fastrand::f64() / 10.0);
        Self {
            header: settings.header_timeout,
            idle: settings.idle_timeout,
            write_stall: settings.write_stall_timeout,
            linger: settings.linger,
            age,
        }
    }

    /// When what began at `since` has taken too long. `leaving`: nothing new is wanted.
    fn due(&self, phase: Phase, since: Instant, leaving: bool) -> Option<(Instant, Deadline)> {
        match phase {
            Phase::Abandoned => Some((since, Deadline::Abandoned)),
            Phase::Answering => None,
            Phase::Head { .. } => Some((since + self.header, Deadline::Header)),
            Phase::Idle { .. } => {
                let limit = if leaving { self.idle.min(self.linger) } else { self.idle };
                Some((since + limit, Deadline::Idle))
            }
            Phase::Sending { since } => Some((since + self.write_stall, Deadline::WriteStall)),
            Phase::Writing { .. } => Some((since + self.write_stall, Deadline::WriteStall)),
        }
    }
}

/// What a connection does, since when, and when that has taken too long.
pub(super) struct Watch {
    limits: Limits,
    phase: Phase,
    since: Instant,
    opened: Instant,
    leaving: bool,
}

impl Watch {
    pub(super) fn new(limits: Limits, now: Instant) -> Self {
        Self { limits, phase: Phase::Idle { turn: 0 }, since: now, opened: now, leaving: false }
    }

    /// From now on the connection waits for one more request at most, and not for long.
    pub(super) fn leave(&mut self) {
        self.leaving = true;
    }

    /// What is going on begins anew.
    pub(super) fn restart(&mut self, now: Instant) {
        self.since = now;
    }

    /// What is due first, and when, of a connection that does this now. Without a limit it is
    /// answering, which others watch, and leaving already.
    pub(super) fn look(&mut self, phase: Phase, now: Instant) -> Option<(Instant, Deadline)> {
        if phase != self.phase {
            self.phase = phase;
            self.since = now;
        }
        let due = self.limits.due(self.phase, self.since, self.leaving);
        let aged = (!self.leaving).then(|| (self.opened + self.limits.age, Deadline::Age));
        due.into_iter().chain(aged).min_by_key(|(due, _)| *due)
    }
}

pin_project! {
    /// The one timer of a connection. It is set again only for something that is due earlier: a
    /// connection that is busy leaves it alone, and looks at what is really due when it fires.
    pub(super) struct Timer {
        #[pin]
        sleep: Sleep,
        // When it fires next; in the past: it is not set.
        armed: Instant,
    }
}

impl Timer {
    pub(super) fn new(now: Instant) -> Self {
        Self { sleep: sleep_until(now), armed: now }
    }

    /// Sees to it that the task is woken at `due` or earlier.
    ///
    /// The task must be the one of every other call: a timer that is set already keeps its waker.
    pub(super) fn set(self: Pin<&mut Self>, context: &mut Context<'_>, due: Instant, now: Instant) {
        let mut this = self.project();
        if *this.armed > now && *this.armed <= due {
            return;
        }
        *this.armed = due;
        this.sleep.as_mut().reset(due);
        if this.sleep.poll(context).is_ready() {
            context.waker().wake_by_ref();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Limits {
        let seconds = Duration::from_secs;
        let (header, idle, write_stall) = (seconds(10), seconds(75), seconds(30));
        Limits { header, idle, write_stall, linger: seconds(1), age: seconds(90) }
    }

    #[test]
    fn each_phase_has_its_own_limit() {
        let since = Instant::now();
        let after = |seconds| since + Duration::from_secs(seconds);
        let earlier = Phase::Sending { since: since - Duration::from_secs(5) };
        for (phase, leaving, due) in [
            (Phase::Idle { turn: 0 }, false, Some((after(75), Deadline::Idle))),
            (Phase::Idle { turn: 0 }, true, Some((after(1), Deadline::Idle))),
            (Phase::Head { turn: 0 }, false, Some((after(10), Deadline::Header))),
            (Phase::Head { turn: 0 }, true, Some((after(10), Deadline::Header))),
            (Phase::Writing { written: 0 }, false, Some((after(30), Deadline::WriteStall))),
            (earlier, false, Some((after(25), Deadline::WriteStall))),
            (Phase::Answering, false, None),
            (Phase::Abandoned, false, Some((since, Deadline::Abandoned))),
        ] {
            assert_eq!(limits().due(phase, since, leaving), due, "{phase:?} {leaving}");
        }
    }

    #[test]
    fn an_age_is_never_more_than_the_configured_one_nor_less_by_more_than_a_tenth() {
        let hour = Duration::from_hours(1);
        let settings = ServerSettings { max_connection_age: hour, ..ServerSettings::internal() };
        let ages: Vec<_> = (0..100).map(|_| Limits::new(&settings).age).collect();
        assert!(ages.iter().all(|age| *age <= hour && *age >= hour * 9 / 10), "{ages:?}");
        assert!(ages.iter().any(|age| age != &ages[0]), "{ages:?}");
    }

    /// More bytes of a head, or a turn in which nothing happened, win no time.
    #[test]
    fn what_goes_on_keeps_its_beginning_and_what_is_new_begins_now() {
        let opened = Instant::now();
        let at = |seconds| opened + Duration::from_secs(seconds);
        let mut watch = Watch::new(limits(), opened);
        for (now, phase, due) in [
            (0, Phase::Idle { turn: 0 }, (at(75), Deadline::Idle)),
            (5, Phase::Head { turn: 0 }, (at(15), Deadline::Header)),
            (9, Phase::Head { turn: 0 }, (at(15), Deadline::Header)),
            (10, Phase::Head { turn: 1 }, (at(20), Deadline::Header)),
            (11, Phase::Writing { written: 1 }, (at(41), Deadline::WriteStall)),
            (12, Phase::Writing { written: 2 }, (at(42), Deadline::WriteStall)),
            (13, Phase::Idle { turn: 2 }, (at(88), Deadline::Idle)),
            (20, Phase::Idle { turn: 3 }, (at(90), Deadline::Age)),
        ] {
            assert_eq!(watch.look(phase, at(now)), Some(due), "at {now}: {phase:?}");
        }
        watch.leave();
        assert_eq!(watch.look(Phase::Answering, at(90)), None);
        let idle = Phase::Idle { turn: 4 };
        assert_eq!(watch.look(idle, at(95)), Some((at(96), Deadline::Idle)));
        watch.restart(at(97));
        assert_eq!(watch.look(idle, at(97)), Some((at(98), Deadline::Idle)));
    }
}
