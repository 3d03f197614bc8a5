//! Waiting for the budget: in order, not for long, and never many.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Mutex as Turn;

use super::budget::{Budget, Priority, Window};
use crate::clock::Clock;
use crate::limit::Quota;

/// Longest wait for a cell. Longer serves callers who would rather wait than come back; shorter
/// gives them something stale, or an honest time to come back at, sooner.
const WAIT_MAX: Duration = Duration::from_secs(1);

/// Calls of one priority that may wait. Each holds a task and its waiters.
const QUEUE_MAX: usize = 256;

/// Hands out the budget's cells.
pub(super) struct Turns {
    budget: Mutex<Budget>,
    authenticated: Queue,
    anonymous: Queue,
    clock: Clock,
}

/// Calls that wait, first come first served.
#[derive(Default)]
struct Queue {
    turn: Turn<()>,
    waiting: AtomicUsize,
}

/// A call that may leave, and when that was decided.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent(Duration);

/// No cell could be had in time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Spent {
    /// Until one can, as far as is known.
    pub wait: Duration,
    pub burst: u32,
    /// In which the whole burst comes back.
    pub refill: Duration,
}

impl Turns {
    pub(super) fn new(quota: Quota, clock: &Clock) -> Self {
        Self {
            budget: Mutex::new(Budget::new(quota)),
            authenticated: Queue::default(),
            anonymous: Queue::default(),
            clock: clock.clone(),
        }
    }

    /// Spends one cell, waiting for it where somebody waits for the answer.
    pub(super) async fn take(&self, priority: Priority) -> Result<Sent, Spent> {
        let queue = match priority {
            Priority::Authenticated => &self.authenticated,
            Priority::Anonymous => &self.anonymous,
            Priority::Background => {
                return self.try_take(priority).map_err(|wait| self.spent(wait));
            }
        };
        let place = queue.enter();
        let ahead = self.ahead(priority, place.before);
        if place.before >= QUEUE_MAX || ahead > WAIT_MAX {
            return Err(self.spent(ahead));
        }
        tokio::select! {
            biased;
            sent = self.wait(priority, queue) => Ok(sent),
            () = self.clock.sleep(WAIT_MAX) => Err(self.spent(self.ahead(priority, place.before))),
        }
    }

    async fn wait(&self, priority: Priority, queue: &Queue) -> Sent {
        let _in_order = queue.turn.lock().await;
        loop {
            match self.try_take(priority) {
                Ok(sent) => return sent,
                Err(wait) => self.clock.sleep(wait).await,
            }
        }
    }

    fn try_take(&self, priority: Priority) -> Result<Sent, Duration> {
        let now = self.clock.monotonic();
        let mut budget = self.budget.lock();
        // Whoever is more urgent and waits takes the next one.
        if priority != Priority::Authenticated && self.authenticated.waiting() > 0 {
            return Err(budget.wait(priority, now).max(budget.interval()));
        }
        budget.take(priority, now).map(|()| Sent(now))
    }

    /// How long until whoever is behind so many others has a cell.
    fn ahead(&self, priority: Priority, others: usize) -> Duration {
        let budget = self.budget.lock();
        let others = u32::try_from(others).unwrap_or(u32::MAX);
        let first = budget.wait(priority, self.clock.monotonic());
        first.saturating_add(budget.interval().saturating_mul(others))
    }

    fn spent(&self, wait: Duration) -> Spent {
        let (burst, refill) = self.budget.lock().shown();
        Spent { wait, burst, refill }
    }

    /// Whether a refresh could leave now.
    pub(super) fn has_for_background(&self) -> bool {
        let now = self.clock.monotonic();
        self.budget.lock().wait(Priority::Background, now).is_zero()
    }

    /// Takes what an answer says of the upstream's limits.
    pub(super) fn learn(&self, window: Window) {
        self.budget.lock().learn(window, self.clock.monotonic());
    }

    /// A call was refused for want of quota.
    pub(super) fn refused(&self, wait: Duration) {
        self.budget.lock().pause(wait, self.clock.monotonic());
    }

    /// A call ended in any other way.
    pub(super) fn ended(&self, Sent(at): Sent) {
        self.budget.lock().resume(at);
    }

    pub(super) fn available(&self) -> u32 {
        self.budget.lock().available(self.clock.monotonic())
    }
}

impl Queue {
    fn enter(&self) -> Place<'_> {
        Place { queue: self, before: self.waiting.fetch_add(1, Ordering::AcqRel) }
    }

    fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Acquire)
    }
}

/// A place in a queue, given up when dropped.
struct Place<'a> {
    queue: &'a Queue,
    /// How many were there already.
    before: usize,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.queue.waiting.fetch_sub(1, Ordering::AcqRel);
    }
}
