//! Waiting for one's turn: in order, the more urgent first, not for long, and never many.
//!
//! Whoever is first in its queue takes a place among the calls in flight and then, at the very
//! end, a cell of the budget: a cell is spent when its call leaves and not before. So at most one
//! place of each queue is held by a call that waits for the budget.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Mutex as Turn, Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep_until};

use super::budget::{Budget, Priority};
use super::window::Window;
use crate::clock::Clock;
use crate::limit::{Desk, Quota};

/// Longest wait for a cell. Longer serves callers who would rather wait than come back; shorter
/// gives them something stale, or an honest time to come back at, sooner.
const WAIT_MAX: Duration = Duration::from_secs(1);

/// Whoever has a cell within this time is not sent away for having waited too long.
const SOON: Duration = Duration::from_millis(50);

/// How long a call that nobody waits for waits for what the fleet's ledger grants.
const GRANTED_WITHIN: Duration = Duration::from_millis(50);

/// Calls of one priority that may wait. Each holds a task and its waiters.
const QUEUE_MAX: usize = 512;

/// Hands out places and cells.
pub(super) struct Turns {
    budget: Mutex<Budget>,
    places: Semaphore,
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

/// A call that may leave. Its place is free again when this is dropped.
pub(super) struct Leave<'a> {
    _place: SemaphorePermit<'a>,
    /// When it was decided.
    pub(super) at: Duration,
}

/// Why a call may not leave.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Held {
    /// The budget is spent for so long, as far as is known.
    Budget(Duration),
    /// Too many are in flight, or wait to be.
    Places,
}

impl Turns {
    pub(super) fn new(quota: Quota, desk: Option<Arc<Desk>>, places: usize, clock: &Clock) -> Self {
        Self {
            budget: Mutex::new(Budget::new(quota, desk)),
            places: Semaphore::new(places),
            authenticated: Queue::default(),
            anonymous: Queue::default(),
            clock: clock.clone(),
        }
    }

    /// Takes a place and spends a cell, waiting for them where somebody waits for the answer.
    pub(super) async fn take(
        &self,
        priority: Priority,
        deadline: Instant,
    ) -> Result<Leave<'_>, Held> {
        let queue = match priority {
            Priority::Authenticated => &self.authenticated,
            Priority::Anonymous => &self.anonymous,
            Priority::Background if Instant::now() >= deadline => return Err(Held::Places),
            Priority::Background => {
                let place = self.places.try_acquire().map_err(|_| Held::Places)?;
                let at = self.spend_soon(priority).await.map_err(Held::Budget)?;
                return Ok(Leave { _place: place, at });
            }
        };
        let own = queue.enter();
        let ahead = self.ahead(priority, own.before);
        if own.before >= QUEUE_MAX {
            return Err(Held::Places);
        }
        if ahead > WAIT_MAX {
            return Err(Held::Budget(ahead));
        }
        let mut leave = std::pin::pin!(self.wait(priority, queue));
        let mut extended = false;
        loop {
            tokio::select! {
                biased;
                // First: no cell is spent on a call that would be back too late.
                () = sleep_until(deadline) => return Err(self.held(priority, own.before)),
                leave = &mut leave => return Ok(leave),
                () = self.clock.sleep(WAIT_MAX) => {
                    // With all places taken it is not the budget that is waited for.
                    let ahead = self.ahead(priority, own.before);
                    // A process that slept finds that its time is over, and a cell about to come.
                    if self.places.available_permits() > 0 && (ahead > SOON || extended) {
                        return Err(Held::Budget(ahead));
                    }
                    extended = true;
                }
            }
        }
    }

    /// What a call waits for that is behind so many others.
    fn held(&self, priority: Priority, others: usize) -> Held {
        // With all places taken it is not the budget.
        if self.places.available_permits() > 0 {
            Held::Budget(self.ahead(priority, others))
        } else {
            Held::Places
        }
    }

    async fn wait(&self, priority: Priority, queue: &Queue) -> Leave<'_> {
        let _in_order = queue.turn.lock().await;
        let place = self.places.acquire().await.expect("the semaphore is never closed");
        loop {
            match self.spend(priority) {
                Ok(at) => return Leave { _place: place, at },
                Err(wait) => self.clock.sleep(wait).await,
            }
        }
    }

    /// Spends a cell that is here, or that a fleet is asked for now.
    async fn spend_soon(&self, priority: Priority) -> Result<Duration, Duration> {
        let until = self.clock.monotonic() + GRANTED_WITHIN;
        loop {
            let wait = match self.spend(priority) {
                Ok(at) => return Ok(at),
                Err(wait) => wait,
            };
            let now = self.clock.monotonic();
            if !self.budget.lock().is_shared(now) || now + wait > until {
                return Err(wait);
            }
            self.clock.sleep(wait).await;
        }
    }

    fn spend(&self, priority: Priority) -> Result<Duration, Duration> {
        let now = self.clock.monotonic();
        let mut budget = self.budget.lock();
        if self.must_give_way(priority) {
            return Err(budget.wait(priority, now).max(budget.interval(now)));
        }
        let urgent = self.authenticated.waiting.load(Ordering::Acquire) > 0;
        budget.want(self.waiting(), if urgent { Priority::Authenticated } else { priority });
        budget.take(priority, now).map(|()| now)
    }

    fn waiting(&self) -> usize {
        let queues = [&self.authenticated, &self.anonymous];
        queues.iter().map(|queue| queue.waiting.load(Ordering::Relaxed)).sum()
    }

    /// Whoever is more urgent and waits takes the next cell.
    fn must_give_way(&self, priority: Priority) -> bool {
        priority != Priority::Authenticated
            && self.authenticated.waiting.load(Ordering::Acquire) > 0
    }

    /// How long until whoever is behind so many others has a cell.
    fn ahead(&self, priority: Priority, others: usize) -> Duration {
        let mut budget = self.budget.lock();
        let others = u32::try_from(others).unwrap_or(u32::MAX);
        let now = self.clock.monotonic();
        let first = budget.wait(priority, now);
        first.saturating_add(budget.interval(now).saturating_mul(others))
    }

    /// Whether a refresh could leave now.
    pub(super) fn has_for_background(&self) -> bool {
        let now = self.clock.monotonic();
        !self.must_give_way(Priority::Background)
            && self.places.available_permits() > 0
            && self.budget.lock().has_for_background(now)
    }

    /// Takes what an answer says of the upstream's limits.
    pub(super) fn learn(&self, window: Window) {
        self.budget.lock().learn(window, self.clock.monotonic());
    }

    /// A call was refused for want of quota.
    pub(super) fn refused(&self, wait: Duration) {
        self.budget.lock().pause(wait, self.clock.monotonic());
    }

    /// How long the upstream has asked to wait, from now on.
    pub(super) fn paused(&self) -> Duration {
        self.budget.lock().paused(self.clock.monotonic())
    }

    /// A call that left then ended in any other way, or did not leave after all.
    pub(super) fn ended(&self, at: Duration) {
        self.budget.lock().resume(at);
    }

    pub(super) fn available(&self) -> u32 {
        self.budget.lock().available(self.clock.monotonic())
    }

    /// What the budget is now: its burst, and the time in which all of it comes back.
    pub(super) fn shown(&self) -> (u32, Duration) {
        self.budget.lock().shown(self.clock.monotonic())
    }
}

impl Queue {
    fn enter(&self) -> Own<'_> {
        Own { queue: self, before: self.waiting.fetch_add(1, Ordering::AcqRel) }
    }
}

/// One's own place in a queue, given up when dropped.
struct Own<'a> {
    queue: &'a Queue,
    /// How many were there already.
    before: usize,
}

impl Drop for Own<'_> {
    fn drop(&mut self) {
        self.queue.waiting.fetch_sub(1, Ordering::AcqRel);
    }
}
