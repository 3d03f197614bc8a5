//! What the account may spend, as a pure decision: callers pass `now`.
//!
//! Two bounds hold at once. The configured one is GCRA: so many calls a second, so many at once
//! after rest. The other is what the upstream says of itself in `X-RateLimit-Limit` and
//! `-Interval`: no more than so many in any interval of that length. It is kept exactly, over
//! the times at which calls left, so that it costs nothing while there is little to do.
//!
//! Calls for callers with a credential may spend everything. Others leave a part of the burst,
//! so that those find something left however many others there are; as long as there is more
//! than that, nobody is held back.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use super::shared_budget::Shared;
use crate::limit::{Desk, Quota};

/// Longest pause after a 429: a mistaken field must not stop everything for a day.
const PAUSE_MAX: Duration = Duration::from_mins(1);
/// How long a probe may be under way before another one leaves.
const PROBE_MAX: Duration = Duration::from_secs(10);
/// How often whoever waits for a probe looks whether it is back.
const PROBE_LOOK: Duration = Duration::from_millis(50);
/// How long what the upstream said is believed, at least, when it says nothing any more or
/// something looser. It may say it only when refusing: each time that it is forgotten costs a
/// refusal.
const BELIEVED: Duration = Duration::from_mins(30);
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

/// How many calls of those who leave something to others may leave at once where the upstream
/// counts by intervals: none would lose whatever a call comes late.
const PACED: u32 = 2;

/// Whom a call is for, the most urgent first.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Priority {
    /// A caller with a key or a token; anybody, where there are none.
    Authenticated,
    Anonymous,
    /// Nobody waits for it.
    Background,
}

impl Priority {
    /// What it leaves of a burst to those who are more urgent.
    fn reserved(self, burst: u32) -> u32 {
        match self {
            Self::Authenticated => 0,
            Self::Anonymous => burst / 4,
            Self::Background => burst / 2,
        }
    }
}

/// At most so many calls in any interval.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Window {
    limit: u32,
    interval: Duration,
}

/// What is left to spend.
pub(super) struct Budget {
    quota: Quota,
    fleet: Option<Shared>,
    /// When everything that was spent has come back.
    tat: Duration,
    /// When calls left, the latest last.
    sent: VecDeque<Duration>,
    learned: Option<Learned>,
    pause: Pause,
}

#[derive(Debug)]
struct Learned {
    window: Window,
    at: Duration,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Pause {
    None,
    /// Nothing leaves until then.
    Until(Duration),
    /// One call left at this time to see whether the pause was long enough.
    Probing(Duration),
}

impl Learned {
    fn is_believed(&self, now: Duration) -> bool {
        now < self.at + BELIEVED.max(self.window.interval * 2)
    }
}

impl Window {
    /// `None`: fields that cannot be meant.
    pub(super) fn new(limit: u64, interval_millis: u64) -> Option<Self> {
        let limit = u32::try_from(limit).ok().filter(|limit| (1..=LIMIT_MAX).contains(limit))?;
        let interval = Duration::from_millis(interval_millis);
        let sensible = !interval.is_zero() && interval <= INTERVAL_MAX.min(RARELY * limit);
        sensible.then_some(Self { limit, interval })
    }

    /// Cells a second.
    fn rate(self) -> f64 {
        f64::from(self.limit) / self.interval.as_secs_f64()
    }

    fn spaced(self) -> Duration {
        self.interval + self.interval / JITTER
    }
}

impl Budget {
    /// `desk`: where a fleet's gateways share in it.
    pub(super) fn new(quota: Quota, desk: Option<Arc<Desk>>) -> Self {
        Self {
            quota,
            fleet: desk.map(|desk| Shared { desk, share: Arc::default() }),
            tat: Duration::ZERO,
            sent: VecDeque::new(),
            learned: None,
            pause: Pause::None,
        }
    }

    /// What is shared, while it can be.
    fn shared(&self, now: Duration) -> Option<&Shared> {
        self.fleet.as_ref().filter(|fleet| fleet.desk.is_open(now))
    }

    /// How many share in it.
    fn nodes(&self) -> NonZeroU32 {
        self.fleet.as_ref().map_or(NonZeroU32::MIN, |fleet| fleet.desk.nodes())
    }

    /// What is counted here: all of it, or this gateway's own part.
    fn counted(&self, now: Duration) -> Quota {
        if self.shared(now).is_some() { self.quota } else { self.quota.part_of(self.nodes()) }
    }

    /// What was learned, as far as it is this gateway's: nobody else knows when ours have left.
    fn window(&self) -> Option<Window> {
        let Window { limit, interval } = self.learned.as_ref()?.window;
        Some(Window { limit: (limit / self.nodes()).max(1), interval })
    }

    /// The time in which one cell comes back.
    pub(super) fn interval(&self, now: Duration) -> Duration {
        let learned = self.window();
        let learned = learned.map_or(Duration::ZERO, |window| window.interval / window.limit);
        self.counted(now).interval().max(learned)
    }

    /// Cells that may be there at once.
    fn burst(&self, now: Duration) -> u32 {
        let learned = self.window().map_or(u32::MAX, |window| window.limit);
        self.counted(now).burst.get().min(learned)
    }

    /// So many calls wait, the most urgent of this priority.
    pub(super) fn want(&self, calls: usize, priority: Priority) {
        if let Some(fleet) = &self.fleet {
            let calls = u32::try_from(calls).unwrap_or(u32::MAX);
            fleet.share.want(calls, priority.reserved(self.quota.burst.get()));
        }
    }

    /// Whether a cell that is not here may be soon: the fleet is asked for it.
    pub(super) fn is_shared(&self, now: Duration) -> bool {
        self.shared(now).is_some()
    }

    /// Spends one cell at `now`, or says how long to wait.
    pub(super) fn take(&mut self, priority: Priority, now: Duration) -> Result<(), Duration> {
        self.learned.take_if(|learned| !learned.is_believed(now));
        let wait = self.wait(priority, now);
        if let Some(shared) = self.shared(now) {
            shared.spend(self.quota, wait, now)?;
        } else if wait.is_zero() {
            self.tat = self.tat.max(now) + self.interval(now);
            if let Some(fleet) = &self.fleet {
                // Others hear of it later.
                fleet.share.owe(self.quota, now);
            }
        } else {
            return Err(wait);
        }
        if self.pause != Pause::None {
            self.pause = Pause::Probing(now);
        }
        if self.sent.len() >= LIMIT_MAX as usize {
            self.sent.pop_front();
        }
        self.sent.push_back(now);
        Ok(())
    }

    /// How long until a call of this priority may leave, if none does before it.
    pub(super) fn wait(&self, priority: Priority, now: Duration) -> Duration {
        let paused = self.paused(now);
        let burst = self.burst(now);
        let reserved = priority.reserved(burst);
        let held_back = paused.max(self.until_window(now));
        if let Some(shared) = self.shared(now) {
            return held_back.max(shared.wait(self.quota, reserved, now));
        }
        // One cell may always be spent once all have come back.
        let mut cells = (burst - 1).saturating_sub(reserved);
        if priority != Priority::Authenticated && self.learned.is_some() {
            // What leaves at once comes back at once: an interval later, and until then nothing
            // is left for anybody.
            cells = cells.min(PACED);
        }
        let tolerated = self.interval(now) * cells;
        let owed = self.tat.saturating_sub(now).saturating_sub(tolerated);
        held_back.max(owed)
    }

    fn paused(&self, now: Duration) -> Duration {
        match self.pause {
            Pause::None => Duration::ZERO,
            Pause::Until(at) => at.saturating_sub(now),
            Pause::Probing(since) => (since + PROBE_MAX).saturating_sub(now).min(PROBE_LOOK),
        }
    }

    /// Whether a call that nobody waits for could leave, or could soon.
    pub(super) fn has_for_background(&self, now: Duration) -> bool {
        let Some(shared) = self.shared(now) else {
            return self.wait(Priority::Background, now).is_zero();
        };
        let available = shared.share.available(shared.terms(self.quota), now);
        available > self.burst(now) / 2 && self.paused(now).max(self.until_window(now)).is_zero()
    }

    /// Until fewer than the learned limit have left within its interval.
    fn until_window(&self, now: Duration) -> Duration {
        let Some(window) = self.window() else { return Duration::ZERO };
        let oldest = self.sent.len().checked_sub(window.limit as usize);
        let oldest = oldest.and_then(|place| self.sent.get(place));
        oldest.map_or(Duration::ZERO, |sent| (*sent + window.spaced()).saturating_sub(now))
    }

    /// Takes what the upstream says of itself. Only something tighter is believed at once.
    pub(super) fn learn(&mut self, window: Window, now: Duration) {
        let keeps =
            |learned: &Learned| learned.window.rate() < window.rate() && learned.is_believed(now);
        if !self.learned.as_ref().is_some_and(keeps) {
            self.learned = Some(Learned { window, at: now });
        }
    }

    /// The upstream has refused: nothing leaves for so long, and then one call alone.
    pub(super) fn pause(&mut self, wait: Duration, now: Duration) {
        let until = now + wait.min(PAUSE_MAX);
        self.pause = match self.pause {
            // Another refusal of the same time may know less.
            Pause::Until(at) => Pause::Until(at.max(until)),
            Pause::None | Pause::Probing(_) => Pause::Until(until),
        };
    }

    /// The upstream has answered something else than a refusal, or not at all.
    pub(super) fn resume(&mut self, sent: Duration) {
        // A call that left before the pause says nothing about it.
        if matches!(self.pause, Pause::Probing(since) if since <= sent) {
            self.pause = Pause::None;
        }
    }

    /// Cells that could be spent now by the most urgent.
    pub(super) fn available(&self, now: Duration) -> u32 {
        let wait = match self.shared(now) {
            // None is here yet, perhaps.
            Some(_) => self.paused(now).max(self.until_window(now)),
            None => self.wait(Priority::Authenticated, now),
        };
        if !wait.is_zero() {
            return 0;
        }
        let left = if let Some(shared) = self.shared(now) {
            shared.share.available(shared.terms(self.quota), now)
        } else {
            let interval = self.interval(now).as_nanos();
            let owed = self.tat.saturating_sub(now).as_nanos().div_ceil(interval);
            self.burst(now).saturating_sub(u32::try_from(owed).unwrap_or(u32::MAX))
        };
        let in_window = self.window().map_or(u32::MAX, |window| {
            let since = now.saturating_sub(window.spaced());
            let sent = self.sent.iter().rev().take_while(|sent| **sent > since).count();
            window.limit.saturating_sub(u32::try_from(sent).unwrap_or(u32::MAX))
        });
        left.min(in_window)
    }

    /// The bound that holds now, as a quota: for those who are told about it.
    pub(super) fn shown(&self, now: Duration) -> (u32, Duration) {
        (self.burst(now), self.interval(now) * self.burst(now))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Duration = Duration::from_secs(100);

    fn budget(per_second: u32, burst: u32) -> Budget {
        Budget::new(Quota::new(per_second, burst).unwrap(), None)
    }

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// How many calls may leave at once.
    fn at_once(budget: &mut Budget, priority: Priority, now: Duration) -> usize {
        std::iter::from_fn(|| budget.take(priority, now).ok()).count()
    }

    #[test]
    fn a_burst_may_leave_at_once_and_then_so_many_a_second() {
        let mut budget = budget(40, 100);
        assert_eq!(budget.available(NOW), 100);
        assert_eq!(at_once(&mut budget, Priority::Authenticated, NOW), 100);
        assert_eq!(budget.available(NOW), 0);
        assert_eq!(budget.take(Priority::Authenticated, NOW), Err(millis(25)));
        assert_eq!(at_once(&mut budget, Priority::Authenticated, NOW + millis(250)), 10);
    }

    #[test]
    fn others_leave_a_part_to_those_with_a_credential_and_use_all_above_it() {
        let mut budget = budget(40, 100);
        assert_eq!(at_once(&mut budget, Priority::Background, NOW), 50);
        assert_eq!(at_once(&mut budget, Priority::Anonymous, NOW), 25);
        assert_eq!(at_once(&mut budget, Priority::Authenticated, NOW), 25);
        // What comes back is theirs first; above it, nothing is held back.
        let second = NOW + Duration::from_secs(1);
        assert_eq!(at_once(&mut budget, Priority::Anonymous, second), 15);
        assert_eq!(at_once(&mut budget, Priority::Authenticated, second), 25);
    }

    #[test]
    fn a_budget_of_one_call_holds_nobody_back_for_ever() {
        let mut budget = budget(1, 1);
        for (second, priority) in
            [Priority::Background, Priority::Anonymous].into_iter().enumerate()
        {
            let now = NOW + Duration::from_secs(second as u64);
            assert_eq!(at_once(&mut budget, priority, now), 1, "{priority:?}");
        }
    }

    #[test]
    fn what_the_upstream_says_counts_where_it_is_less_and_as_long_as_it_is_said() {
        let mut budget = budget(40, 100);
        budget.learn(Window::new(10, 1000).unwrap(), NOW);
        assert_eq!(at_once(&mut budget, Priority::Authenticated, NOW), 10);
        assert_eq!(budget.shown(NOW), (10, Duration::from_secs(1)));
        assert_eq!(budget.available(NOW), 0);
        // Exactly so many in any interval, which is taken to be a little longer.
        assert_eq!(at_once(&mut budget, Priority::Authenticated, NOW + millis(1019)), 0);
        assert_eq!(at_once(&mut budget, Priority::Authenticated, NOW + millis(1020)), 10);
        // Something looser is not believed at once, something tighter is.
        budget.learn(Window::new(100, 1000).unwrap(), NOW + millis(1020));
        assert_eq!(budget.shown(NOW).0, 10);
        budget.learn(Window::new(5, 1000).unwrap(), NOW + millis(1020));
        assert_eq!(budget.shown(NOW).0, 5);
        let later = NOW + BELIEVED + millis(1020);
        assert_eq!(at_once(&mut budget, Priority::Authenticated, later), 100);
    }

    #[test]
    fn fields_that_cannot_be_meant_are_not_believed() {
        for (limit, interval) in
            [(0, 1000), (10, 0), (10_001, 1000), (1, 10_001), (1000, 3_600_001), (u64::MAX, 1)]
        {
            assert_eq!(Window::new(limit, interval), None, "{limit} {interval}");
        }
        assert!(Window::new(1000, 900_000).is_some());
    }

    #[test]
    fn a_pause_is_as_long_as_told_and_ends_with_one_probe() {
        let mut budget = budget(40, 100);
        budget.take(Priority::Authenticated, NOW).unwrap();
        budget.pause(millis(3000), NOW);
        budget.resume(NOW);
        assert_eq!(budget.take(Priority::Authenticated, NOW + millis(2999)), Err(millis(1)));
        let probed = NOW + millis(3000);
        assert_eq!(at_once(&mut budget, Priority::Authenticated, probed), 1);
        assert_eq!(budget.wait(Priority::Authenticated, probed + millis(10)), PROBE_LOOK);
        // Lost probes are followed by others; one that comes back ends it.
        let again = probed + PROBE_MAX;
        assert_eq!(at_once(&mut budget, Priority::Authenticated, again), 1);
        budget.resume(again);
        assert_eq!(at_once(&mut budget, Priority::Authenticated, again), 99);
        budget.pause(Duration::from_hours(24), again);
        assert_eq!(budget.wait(Priority::Authenticated, again), PAUSE_MAX);
    }

    proptest! {
        /// Whatever is asked when, no interval sees more than was allowed, and nothing waits for
        /// longer than it is told.
        #[test]
        fn no_interval_sees_more_than_is_allowed(
            limit in 1..50_u32,
            interval in 1..3000_u64,
            gaps in proptest::collection::vec(0..200_u64, 1..300),
        ) {
            let mut budget = budget(1000, 1000);
            let window = Window::new(u64::from(limit), interval).unwrap();
            budget.learn(window, NOW);
            let (mut now, mut sent) = (NOW, Vec::new());
            for gap in gaps {
                now += millis(gap);
                match budget.take(Priority::Authenticated, now) {
                    Ok(()) => sent.push(now),
                    Err(wait) => {
                        prop_assert!(budget.take(Priority::Authenticated, now + wait).is_ok());
                        now += wait;
                        sent.push(now);
                    }
                }
            }
            for (place, first) in sent.iter().enumerate() {
                let within = sent[place..].iter().filter(|at| **at < *first + millis(interval));
                prop_assert!(within.count() <= limit as usize);
            }
        }
    }
}
