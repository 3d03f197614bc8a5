//! Deadlines of a connection: each phase has its own limit. An idle connection, a slow head and a
//! slow reader are three different phases.

use std::pin::{Pin, pin};
use std::task::Context;
use std::time::Duration;

use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};

use super::event::Deadline;
use super::settings::ServerSettings;

/// Factor of `write_stall_timeout`: the time of a draining connection for its last responses. A
/// larger factor lets a client that reads very slowly hold the connection; a smaller one cuts slow
/// readers of long responses.
const DRAIN_STALLS: u32 = 10;

/// Factor of `linger`: the time of a draining HTTP/2 connection to end by itself. It does so once
/// its client has taken everything and has acknowledged that.
const SETTLE_LINGERS: u32 = 5;

/// Reason why a connection must act now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Due {
    Deadline(Deadline),
    /// The lingering close has lasted long enough.
    LingerOver,
}

/// Time limits, from [`ServerSettings`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    header: Duration,
    idle: Duration,
    write_stall: Duration,
    linger: Duration,
    /// Longest age of this connection. It is random, so that connections do not all end at once.
    age: Duration,
}

/// Activity of a connection. The numbers only tell one occurrence from the next: while they stay
/// the same, nothing has happened.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Phase {
    /// The client has abandoned more requests than is plausible.
    Abandoned,
    /// At least one request is being answered. That has deadlines of its own.
    Answering,
    /// Part of a head has arrived.
    Head { turn: u32 },
    /// No request is open.
    Idle { turn: u32 },
    /// HTTP/2: no request is open, but the last responses may not have left yet.
    Settling { turn: u32 },
    /// The client takes none of its responses. The oldest has not progressed since `since`.
    Sending { since: Instant },
    /// The socket takes no bytes. The oldest response as in [`Phase::Sending`], if there is one.
    Writing { written: u32, oldest: Option<Instant> },
    /// Lingering close: received bytes are discarded, so that a reset does not destroy the last
    /// response.
    Closing,
}

impl Limits {
    pub(super) fn new(settings: &ServerSettings) -> Self {
        // Shortens the age only, by a tenth at most.
        let age = settings.max_connection_age.mul_f64(1.0 - fastrand::f64() / 10.0);
        Self {
            header: settings.header_timeout,
            idle: settings.idle_timeout,
            write_stall: settings.write_stall_timeout,
            linger: settings.linger,
            age,
        }
    }

    /// Returns when a phase that began at `since` has lasted too long. `draining`: the connection is
    /// draining.
    fn due(&self, phase: Phase, since: Instant, draining: bool) -> Option<(Instant, Due)> {
        let (since, limit, deadline) = match phase {
            Phase::Abandoned => (since, Duration::ZERO, Deadline::Abandoned),
            Phase::Answering => return None,
            Phase::Closing => return Some((since + self.linger, Due::LingerOver)),
            Phase::Head { .. } => (since, self.header, Deadline::Header),
            Phase::Idle { .. } if draining => (since, self.idle.min(self.linger), Deadline::Idle),
            Phase::Settling { .. } if draining => {
                (since, SETTLE_LINGERS * self.linger, Deadline::Idle)
            }
            Phase::Idle { .. } | Phase::Settling { .. } => (since, self.idle, Deadline::Idle),
            Phase::Sending { since } => (since, self.write_stall, Deadline::WriteStall),
            Phase::Writing { oldest, .. } => {
                let since = oldest.map_or(since, |oldest| since.min(oldest));
                (since, self.write_stall, Deadline::WriteStall)
            }
        };
        Some((since + limit, Due::Deadline(deadline)))
    }
}

/// Watch over one connection: its phase, the beginning of the phase, and its deadline.
pub(super) struct PhaseWatch {
    limits: Limits,
    phase: Phase,
    since: Instant,
    opened: Instant,
    /// Time since which the connection is draining.
    draining: Option<Instant>,
}

impl PhaseWatch {
    pub(super) fn new(limits: Limits, now: Instant) -> Self {
        Self { limits, phase: Phase::Idle { turn: 0 }, since: now, opened: now, draining: None }
    }

    /// Starts draining: from now on the connection waits for at most one more request, and not for
    /// long.
    pub(super) fn start_draining(&mut self, now: Instant) {
        self.draining.get_or_insert(now);
    }

    pub(super) fn is_draining(&self) -> bool {
        self.draining.is_some()
    }

    /// Returns when the current phase began.
    pub(super) fn since(&self) -> Instant {
        self.since
    }

    /// Restarts the current phase.
    pub(super) fn restart(&mut self, now: Instant) {
        self.since = now;
    }

    /// Notes the current phase. Returns what is due first, and when.
    pub(super) fn look(&mut self, phase: Phase, now: Instant) -> (Instant, Due) {
        if phase != self.phase {
            self.phase = phase;
            self.since = now;
        }
        let due = self.limits.due(self.phase, self.since, self.draining.is_some());
        let end = match self.draining {
            None => (self.opened + self.limits.age, Due::Deadline(Deadline::Age)),
            // This end holds however busy the connection looks.
            Some(since) => {
                let end = since + DRAIN_STALLS * self.limits.write_stall;
                (end, Due::Deadline(Deadline::WriteStall))
            }
        };
        due.filter(|due| due.0 <= end.0).unwrap_or(end)
    }
}

pin_project! {
    /// The only timer of a connection. It is set again only for an earlier time: a busy connection
    /// leaves it alone, and checks what is really due when it fires.
    pub(super) struct Timer {
        #[pin]
        sleep: Sleep,
        // Time at which it fires next. A time in the past: it is not set.
        armed: Instant,
    }
}

impl Timer {
    pub(super) fn new(now: Instant) -> Self {
        Self { sleep: sleep_until(now), armed: now }
    }

    /// Ensures that the task is woken at `due` or earlier.
    ///
    /// Every call must come from the same task: a timer that is set already keeps its waker.
    pub(super) fn set(self: Pin<&mut Self>, context: &mut Context<'_>, due: Instant, now: Instant) {
        let mut this = self.project();
        if *this.armed > now && *this.armed <= due {
            return;
        }
        *this.armed = due;
        this.sleep.as_mut().reset(due);
        // If the task has used up its cooperative budget, the timer would not register the waker,
        // and the task would not be woken.
        if pin!(tokio::task::unconstrained(this.sleep)).poll(context).is_ready() {
            context.waker().wake_by_ref();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Poll;

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
        let ago = |seconds| since - Duration::from_secs(seconds);
        let writing = |oldest: Option<u64>| Phase::Writing { written: 0, oldest: oldest.map(ago) };
        let (idle, settling) = (Phase::Idle { turn: 0 }, Phase::Settling { turn: 0 });
        for (phase, draining, due, deadline) in [
            (idle, false, after(75), Deadline::Idle),
            (idle, true, after(1), Deadline::Idle),
            (settling, false, after(75), Deadline::Idle),
            (settling, true, after(5), Deadline::Idle),
            (Phase::Head { turn: 0 }, false, after(10), Deadline::Header),
            (Phase::Head { turn: 0 }, true, after(10), Deadline::Header),
            (writing(None), false, after(30), Deadline::WriteStall),
            (writing(Some(5)), false, after(25), Deadline::WriteStall),
            (Phase::Sending { since: ago(5) }, false, after(25), Deadline::WriteStall),
            (Phase::Abandoned, false, since, Deadline::Abandoned),
        ] {
            let found = limits().due(phase, since, draining);
            assert_eq!(found, Some((due, Due::Deadline(deadline))), "{phase:?} {draining}");
        }
        assert_eq!(limits().due(Phase::Answering, since, true), None);
        assert_eq!(limits().due(Phase::Closing, since, true), Some((after(1), Due::LingerOver)));
    }

    #[test]
    fn an_age_is_never_more_than_the_configured_one_nor_less_by_more_than_a_tenth() {
        let hour = Duration::from_hours(1);
        let settings = ServerSettings { max_connection_age: hour, ..ServerSettings::internal() };
        let ages: Vec<_> = (0..100).map(|_| Limits::new(&settings).age).collect();
        assert!(ages.iter().all(|age| *age <= hour && *age >= hour * 9 / 10), "{ages:?}");
        assert!(ages.iter().any(|age| age != &ages[0]), "{ages:?}");
    }

    /// A task that has used up its cooperative budget must not lose its timer.
    #[tokio::test]
    async fn a_timer_that_is_set_at_the_end_of_a_turn_fires() {
        let due = Instant::now() + Duration::from_millis(20);
        let mut timer = pin!(Timer::new(Instant::now()));
        let mut first = true;
        let fired = std::future::poll_fn(|context| {
            let now = Instant::now();
            if now >= due {
                return Poll::Ready(());
            }
            if std::mem::take(&mut first) {
                while pin!(tokio::task::consume_budget()).poll(context).is_ready() {}
            }
            timer.as_mut().set(context, due, now);
            Poll::Pending
        });
        tokio::select! {
            biased;
            () = tokio::time::sleep(Duration::from_secs(20)) => panic!("nobody was woken"),
            () = fired => {}
        }
    }

    /// Further bytes of a head, and turns in which nothing happens, extend no deadline.
    #[test]
    fn what_goes_on_keeps_its_beginning_and_what_is_new_begins_now() {
        let opened = Instant::now();
        let at = |seconds| opened + Duration::from_secs(seconds);
        let mut watch = PhaseWatch::new(limits(), opened);
        let writing = |written| Phase::Writing { written, oldest: None };
        for (now, phase, due, deadline) in [
            (0, Phase::Idle { turn: 0 }, 75, Deadline::Idle),
            (5, Phase::Head { turn: 0 }, 15, Deadline::Header),
            (9, Phase::Head { turn: 0 }, 15, Deadline::Header),
            (10, Phase::Head { turn: 1 }, 20, Deadline::Header),
            (11, writing(1), 41, Deadline::WriteStall),
            (12, writing(2), 42, Deadline::WriteStall),
            (13, Phase::Idle { turn: 2 }, 88, Deadline::Idle),
            (20, Phase::Idle { turn: 3 }, 90, Deadline::Age),
        ] {
            let found = watch.look(phase, at(now));
            assert_eq!(found, (at(due), Due::Deadline(deadline)), "at {now}: {phase:?}");
        }
        watch.start_draining(at(90));
        watch.start_draining(at(91));
        let mut due = |phase, now| watch.look(phase, at(now)).0;
        assert_eq!(due(Phase::Answering, 92), at(390), "however busy it looks");
        assert_eq!(due(Phase::Idle { turn: 4 }, 95), at(96));
        assert_eq!(due(writing(9), 380), at(390));
        watch.restart(at(385));
        assert_eq!(watch.look(writing(9), at(386)).0, at(390));
    }
}
