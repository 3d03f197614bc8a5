//! Call budget of the ImageKit account, decided at a `now` that callers pass.
//!
//! Two limits hold at once. The configured one is GCRA: a rate per second and a burst. The other is
//! the upstream's own limit (`window`).
//!
//! Calls for authenticated callers may spend everything. Anonymous and background calls leave a
//! part of the burst, so that authenticated callers find some left under any load. While more cells
//! than that part are left, the configured limit lets a call leave at once.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use super::budget_limit::{BudgetLimit, LimitSource};
use super::pause::Pause;
use super::priority::Priority;
use super::shared_budget::SharedBudget;
use super::window::{LearnedWindow, Window};
use crate::limit::{LeaseQueue, Quota, SingleLimiter};

/// Number of non-urgent calls that may leave early, if the upstream limits by intervals. With zero,
/// a late call would lose its slot.
const PACED: u32 = 2;

/// State of the call budget.
pub(super) struct Budget {
    quota: Quota,
    /// Limiter of the configured quota, or of this gateway's part of it.
    own: SingleLimiter,
    /// Number of gateways among which `own` divides the quota.
    nodes: NonZeroU32,
    fleet: Option<SharedBudget>,
    learned: LearnedWindow,
    /// Limiter that spreads non-urgent calls over the learned window.
    pace: Option<SingleLimiter>,
    pause: Pause,
}

impl Budget {
    /// Creates a budget. `lease_queue` queues lease requests, if the gateway is in a fleet.
    pub(super) fn new(quota: Quota, lease_queue: Option<Arc<LeaseQueue>>) -> Self {
        Self {
            quota,
            own: SingleLimiter::new(quota),
            nodes: NonZeroU32::MIN,
            fleet: lease_queue
                .map(|lease_queue| SharedBudget { lease_queue, lease: Arc::default() }),
            learned: LearnedWindow::default(),
            pace: None,
            pause: Pause::None,
        }
    }

    /// Returns the shared budget, if the ledger is available now.
    fn shared(&self, now: Duration) -> Option<&SharedBudget> {
        self.fleet.as_ref().filter(|fleet| fleet.lease_queue.is_available(now))
    }

    /// Returns the quota that is counted now: the whole one if it is shared, else this gateway's
    /// part.
    fn counted(&self, now: Duration) -> Quota {
        if self.shared(now).is_some() { self.quota } else { self.quota.part_of(self.nodes) }
    }

    /// Returns this gateway's part of the learned window.
    fn window(&self) -> Option<Window> {
        self.learned.window().map(|window| window.part_of(self.nodes))
    }

    /// Updates the state: the number of gateways, and a window that is no longer believed.
    fn follow(&mut self, now: Duration) {
        let nodes = self.fleet.as_ref().map_or(NonZeroU32::MIN, |fleet| fleet.lease_queue.nodes());
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

    /// Returns the time in which one cell comes back.
    pub(super) fn interval(&self, now: Duration) -> Duration {
        let learned = self.window().map_or(Duration::ZERO, Window::interval_each);
        self.counted(now).interval().max(learned)
    }

    /// Returns the most cells that may be available at once.
    fn burst(&self, now: Duration) -> u32 {
        let learned = self.window().map_or(u32::MAX, |window| window.limit.get());
        self.counted(now).burst.get().min(learned)
    }

    /// Records that `calls` calls wait, the most urgent of them with `priority`.
    pub(super) fn want(&self, calls: usize, priority: Priority) {
        if let Some(fleet) = &self.fleet {
            let calls = u32::try_from(calls).unwrap_or(u32::MAX);
            fleet.lease.set_waiting_calls(calls, priority.reserved(self.quota.burst.get()));
        }
    }

    /// Returns whether the fleet's ledger may grant a cell that is not here yet.
    pub(super) fn is_shared(&self, now: Duration) -> bool {
        self.shared(now).is_some()
    }

    /// Spends one cell at `now`, or returns how long to wait.
    pub(super) fn take(&mut self, priority: Priority, now: Duration) -> Result<(), Duration> {
        let wait = self.wait(priority, now);
        if let Some(shared) = self.shared(now) {
            shared.spend(self.quota, wait, now)?;
        } else if wait.is_zero() {
            self.own.spend(now)?;
            if let Some(fleet) = &self.fleet {
                // The ledger is debited later.
                fleet.lease.add_debt(self.quota, now);
            }
        } else {
            return Err(wait);
        }
        if let Some(pace) = &mut self.pace {
            // Urgent calls are held back by the window alone, so a refusal of the pace is ignored.
            _ = pace.spend(now);
        }
        self.pause.sent(now);
        self.learned.sent(now);
        Ok(())
    }

    /// Returns the time until a call of this priority may leave, if no other leaves before it.
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

    /// Returns how long the even pace holds back a call of this priority.
    ///
    /// If the upstream limits by intervals, calls that leave at once come back at once, an interval
    /// later. Until then nothing is left for urgent calls. So non-urgent calls are spread.
    fn paced(&self, priority: Priority, now: Duration) -> Duration {
        let (Some(pace), Some(window)) = (&self.pace, self.window()) else { return Duration::ZERO };
        if priority == Priority::Authenticated {
            return Duration::ZERO;
        }
        pace.wait(priority.needed(window.limit, PACED + 1), now).unwrap_or_default()
    }

    /// Returns how long the pause and the learned window hold back every call.
    fn held_back(&self, now: Duration) -> Duration {
        let window = self.window().map_or(Duration::ZERO, |window| self.learned.wait(window, now));
        self.pause.left(now).max(window)
    }

    /// Returns whether a background refresh could leave now, or soon.
    pub(super) fn can_refresh_now(&mut self, now: Duration) -> bool {
        self.follow(now);
        let Some(shared) = self.shared(now) else {
            return self.wait(Priority::Background, now).is_zero();
        };
        let available = shared.lease.available(shared.terms(self.quota), now);
        available > self.burst(now) / 2 && self.held_back(now).is_zero()
    }

    /// Learns a limit that the upstream states.
    pub(super) fn learn(&mut self, window: Window, now: Duration) {
        let before = self.learned.window();
        if self.learned.learn(window, now) && before != Some(window) {
            self.set_pace();
        }
    }

    /// Records that the upstream requested a pause: no call leaves for `wait`, then one probe.
    pub(super) fn pause(&mut self, wait: Duration, now: Duration) {
        self.pause.begin(wait, now);
    }

    /// Returns the rest of the wait that the upstream requested.
    pub(super) fn paused(&self, now: Duration) -> Duration {
        self.pause.left(now)
    }

    /// Records that a call which left at `sent` ended without a request to pause: with another
    /// answer, or with none.
    pub(super) fn resume(&mut self, sent: Duration) {
        self.pause.end(sent);
    }

    /// Returns the number of cells that the most urgent call could spend now.
    pub(super) fn available(&mut self, now: Duration) -> u32 {
        self.follow(now);
        if !self.held_back(now).is_zero() {
            return 0;
        }
        let left = match self.shared(now) {
            Some(shared) => shared.lease.available(shared.terms(self.quota), now),
            None => self.own.left(now),
        };
        let in_window = self.window().map_or(u32::MAX, |window| self.learned.left(window, now));
        left.min(in_window)
    }

    /// Returns the limit in force as a quota: its burst, and the time in which the whole burst
    /// comes back.
    pub(super) fn bucket(&mut self, now: Duration) -> (u32, Duration) {
        self.follow(now);
        (self.burst(now), self.interval(now) * self.burst(now))
    }

    /// Returns the limit in force for all gateways of the fleet together, and whether it is the
    /// configured one or the upstream's own.
    pub(super) fn limit(&mut self, now: Duration) -> BudgetLimit {
        self.follow(now);
        let (learned, quota) = (self.learned.window(), self.quota);
        let burst = learned.map_or(u32::MAX, |window| window.limit.get()).min(quota.burst.get());
        let learned = learned.map_or(Duration::ZERO, Window::interval_each);
        let is_learned = learned >= quota.interval();
        let set_by = if is_learned { LimitSource::ImageKit } else { LimitSource::Configured };
        BudgetLimit { set_by, burst, interval: learned.max(quota.interval()) }
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

    /// Returns the number of calls that may leave at once.
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
        // Cells that come back are for urgent calls first; above the reserve no call is held back.
        let second = NOW + Duration::from_secs(1);
        assert_eq!(at_once(&mut budget, Priority::Anonymous, second), 15);
        assert_eq!(at_once(&mut budget, Priority::Authenticated, second), 25);
    }

    #[test]
    fn a_budget_of_one_call_holds_no_call_back_for_ever() {
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
        assert_eq!(budget.bucket(NOW), (10, Duration::from_secs(1)));
        assert_eq!(budget.available(NOW), 0);
        // Exactly the limit in any interval, plus the margin of 1/50.
        assert_eq!(at_once(&mut budget, Priority::Authenticated, NOW + millis(1019)), 0);
        assert_eq!(at_once(&mut budget, Priority::Authenticated, NOW + millis(1020)), 10);
        // A looser limit is not believed at once; a tighter one is.
        budget.learn(Window::new(100, 1000).unwrap(), NOW + millis(1020));
        assert_eq!(budget.bucket(NOW).0, 10);
        budget.learn(Window::new(5, 1000).unwrap(), NOW + millis(1020));
        assert_eq!(budget.bucket(NOW).0, 5);
        let later = NOW + BELIEVED + millis(1020);
        assert_eq!(at_once(&mut budget, Priority::Authenticated, later), 100);
    }

    #[test]
    fn the_limit_in_force_is_that_of_the_lower_rate() {
        let mut budget = budget(40, 100);
        let shown = |budget: &mut Budget, now| {
            let limit = budget.limit(now);
            (limit.set_by, limit.burst, limit.per_second())
        };
        assert_eq!(shown(&mut budget, NOW), (LimitSource::Configured, 100, 40.0));
        budget.learn(Window::new(50, 1000).unwrap(), NOW);
        assert_eq!(shown(&mut budget, NOW), (LimitSource::Configured, 50, 40.0));
        budget.learn(Window::new(100, 3000).unwrap(), NOW);
        assert_eq!(shown(&mut budget, NOW), (LimitSource::ImageKit, 100, 33.33));
        let mut same = Budget::new(Quota::new(40, 100).unwrap(), None);
        same.learn(Window::new(40, 1000).unwrap(), NOW);
        assert_eq!(
            same.limit(NOW).set_by,
            LimitSource::ImageKit,
            "a larger budget changes nothing"
        );
        let later = NOW + BELIEVED;
        assert_eq!(shown(&mut budget, later), (LimitSource::Configured, 100, 40.0));
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
        // A lost probe is followed by another. A probe that returns ends the pause.
        let again = probed + PROBE_MAX;
        assert_eq!(at_once(&mut budget, Priority::Authenticated, again), 1);
        budget.resume(again);
        assert_eq!(at_once(&mut budget, Priority::Authenticated, again), 99);
        budget.pause(Duration::from_hours(24), again);
        assert_eq!(budget.wait(Priority::Authenticated, again), PAUSE_MAX);
    }

    proptest! {
        /// For any pattern of calls: no interval holds more calls than allowed, and no call waits
        /// longer than it was told.
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
