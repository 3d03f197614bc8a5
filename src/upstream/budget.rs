//! What the account may spend, as a pure decision: callers pass `now`.
//!
//! Two bounds hold at once. The configured one is GCRA: so many calls a second, so many at once
//! after rest. The other is what the upstream says of itself (`window`).
//!
//! Calls for callers with a credential may spend everything. Others leave a part of the burst,
//! so that those find something left however many others there are; as long as there is more
//! than that, nobody is held back.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use super::pause::Pause;
use super::shared_budget::Shared;
use super::window::{LearnedWindow, Window};
use crate::limit::{Desk, Quota, SingleLimiter};

/// How many calls of those who leave something to others may leave at once where the upstream
/// counts by intervals: none would lose whatever a call comes late.
const PACED: u32 = 2;

/// Whom a call is for, the most urgent first.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Priority {
    /// A caller with a key or a token; every caller, where there are none.
    Authenticated,
    Anonymous,
    /// A refresh, for which no request waits.
    Background,
}

impl Priority {
    /// What it leaves of a burst to more urgent calls.
    fn reserved(self, burst: u32) -> u32 {
        match self {
            Self::Authenticated => 0,
            Self::Anonymous => burst / 4,
            Self::Background => burst / 2,
        }
    }

    /// Cells that must conform for one to be spent, of a burst of which at most so many may leave
    /// at once. One may always be spent once all have come back.
    fn needed(self, burst: NonZeroU32, at_once: u32) -> NonZeroU32 {
        let spare = burst.get().saturating_sub(self.reserved(burst.get())).clamp(1, at_once.max(1));
        NonZeroU32::new(burst.get() - (spare - 1)).unwrap_or(NonZeroU32::MIN)
    }
}

/// What is left to spend.
pub(super) struct Budget {
    quota: Quota,
    /// The configured quota, or this gateway's part of it.
    own: SingleLimiter,
    /// How many gateways `own` is a part for.
    nodes: NonZeroU32,
    fleet: Option<Shared>,
    learned: LearnedWindow,
    /// Spreads what is not urgent over the learned window.
    pace: Option<SingleLimiter>,
    pause: Pause,
}

impl Budget {
    /// `desk`: where a fleet's gateways share in it.
    pub(super) fn new(quota: Quota, desk: Option<Arc<Desk>>) -> Self {
        Self {
            quota,
            own: SingleLimiter::new(quota),
            nodes: NonZeroU32::MIN,
            fleet: desk.map(|desk| Shared { desk, share: Arc::default() }),
            learned: LearnedWindow::default(),
            pace: None,
            pause: Pause::None,
        }
    }

    /// What is shared, while it can be.
    fn shared(&self, now: Duration) -> Option<&Shared> {
        self.fleet.as_ref().filter(|fleet| fleet.desk.is_open(now))
    }

    /// What is counted here: all of it, or this gateway's own part.
    fn counted(&self, now: Duration) -> Quota {
        if self.shared(now).is_some() { self.quota } else { self.quota.part_of(self.nodes) }
    }

    /// What was learned, as far as it is this gateway's.
    fn window(&self) -> Option<Window> {
        self.learned.window().map(|window| window.part_of(self.nodes))
    }

    /// Follows what others say: how many gateways there are, and what is not believed any more.
    fn follow(&mut self, now: Duration) {
        let nodes = self.fleet.as_ref().map_or(NonZeroU32::MIN, |fleet| fleet.desk.nodes());
        if nodes != self.nodes {
            self.nodes = nodes;
            self.own.set_quota(self.quota.part_of(nodes), now);
            self.set_pace();
        }
        self.learned.forget(now);
        if self.learned.window().is_none() {
            self.pace = None;
        }
    }

    fn set_pace(&mut self) {
        let limiter = |window: Window| SingleLimiter::of_window(window.limit, window.interval);
        self.pace = self.window().and_then(limiter);
    }

    /// The time in which one cell comes back.
    pub(super) fn interval(&self, now: Duration) -> Duration {
        let learned = self.window().map_or(Duration::ZERO, Window::interval_each);
        self.counted(now).interval().max(learned)
    }

    /// Cells that may be there at once.
    fn burst(&self, now: Duration) -> u32 {
        let learned = self.window().map_or(u32::MAX, |window| window.limit.get());
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
        let wait = self.wait(priority, now);
        if let Some(shared) = self.shared(now) {
            shared.spend(self.quota, wait, now)?;
        } else if wait.is_zero() {
            self.own.spend(now)?;
            if let Some(fleet) = &self.fleet {
                // The others hear of it later.
                fleet.share.owe(self.quota, now);
            }
        } else {
            return Err(wait);
        }
        if let Some(pace) = &mut self.pace {
            // The window itself is what holds calls back that are urgent.
            _ = pace.spend(now);
        }
        self.pause.sent(now);
        self.learned.sent(now);
        Ok(())
    }

    /// How long until a call of this priority may leave, if none does before it.
    pub(super) fn wait(&mut self, priority: Priority, now: Duration) -> Duration {
        self.follow(now);
        let held_back = self.held_back(now);
        if let Some(shared) = self.shared(now) {
            let reserved = priority.reserved(self.burst(now));
            return held_back.max(shared.wait(self.quota, reserved, now));
        }
        let needed = priority.needed(self.counted(now).burst, u32::MAX);
        let owed = self.own.wait(needed, now).unwrap_or_default();
        held_back.max(owed).max(self.paced(priority, now))
    }

    /// What leaves at once comes back at once where the upstream counts by intervals: an interval
    /// later, and until then nothing is left for urgent calls. So calls that are not are spread.
    fn paced(&self, priority: Priority, now: Duration) -> Duration {
        let (Some(pace), Some(window)) = (&self.pace, self.window()) else { return Duration::ZERO };
        if priority == Priority::Authenticated {
            return Duration::ZERO;
        }
        pace.wait(priority.needed(window.limit, PACED + 1), now).unwrap_or_default()
    }

    /// How long the pause and the learned window hold every call back.
    fn held_back(&self, now: Duration) -> Duration {
        let window = self.window().map_or(Duration::ZERO, |window| self.learned.wait(window, now));
        self.pause.left(now).max(window)
    }

    /// Whether a call that no request waits for could leave, or could soon.
    pub(super) fn has_for_background(&mut self, now: Duration) -> bool {
        self.follow(now);
        let Some(shared) = self.shared(now) else {
            return self.wait(Priority::Background, now).is_zero();
        };
        let available = shared.share.available(shared.terms(self.quota), now);
        available > self.burst(now) / 2 && self.held_back(now).is_zero()
    }

    /// Takes what the upstream says of itself.
    pub(super) fn learn(&mut self, window: Window, now: Duration) {
        let before = self.learned.window();
        if self.learned.learn(window, now) && before != Some(window) {
            self.set_pace();
        }
    }

    /// The upstream has refused: nothing leaves for so long, and then one call alone.
    pub(super) fn pause(&mut self, wait: Duration, now: Duration) {
        self.pause.refused(wait, now);
    }

    /// How long the upstream has asked to wait, from now on.
    pub(super) fn paused(&self, now: Duration) -> Duration {
        self.pause.left(now)
    }

    /// The upstream has answered something else than a refusal, or not at all.
    pub(super) fn resume(&mut self, sent: Duration) {
        self.pause.ended(sent);
    }

    /// Cells that could be spent now by the most urgent call.
    pub(super) fn available(&mut self, now: Duration) -> u32 {
        self.follow(now);
        if !self.held_back(now).is_zero() {
            return 0;
        }
        let left = match self.shared(now) {
            Some(shared) => shared.share.available(shared.terms(self.quota), now),
            None => self.own.left(now),
        };
        let in_window = self.window().map_or(u32::MAX, |window| self.learned.left(window, now));
        left.min(in_window)
    }

    /// The bound that holds now, as a quota: its burst, and the time in which that comes back.
    pub(super) fn shown(&mut self, now: Duration) -> (u32, Duration) {
        self.follow(now);
        (self.burst(now), self.interval(now) * self.burst(now))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::upstream::pause::{PAUSE_MAX, PROBE_LOOK, PROBE_MAX};
    use crate::upstream::window::BELIEVED;

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
