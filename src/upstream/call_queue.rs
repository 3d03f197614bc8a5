//! Bounded priority queue of fills that wait for an upstream call permit.
//!
//! Each queue is first in, first out; authenticated callers come before anonymous ones. The first
//! fill of a queue takes a permit and then, as the last step, a cell of the budget. A cell is spent
//! only when its call leaves. So at most one permit of each queue is held by a call that waits for
//! the budget.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Mutex as InOrder, Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep_until};

use super::budget::Budget;
use super::budget_limit::BudgetLimit;
use super::priority::Priority;
use super::window::Window;
use crate::clock::Clock;
use crate::limit::{LeaseQueue, Quota};

/// Longest wait for a cell, unless one is about to come. A longer wait serves callers who prefer to
/// wait. A shorter one gives them a stale response, or a time to retry, sooner.
const WAIT_MAX: Duration = Duration::from_secs(1);

/// A call that would get a cell within this time is not refused at the end of its wait.
const SOON: Duration = Duration::from_millis(50);

/// Time that a background refresh waits for a grant of the fleet's ledger.
const GRANTED_WITHIN: Duration = Duration::from_millis(50);

/// Most calls of one priority that may wait. Each holds a task and its waiters.
const QUEUE_MAX: usize = 512;

/// Queue that grants call permits and cells of the budget.
pub(super) struct CallQueue {
    budget: Mutex<Budget>,
    permits: Semaphore,
    authenticated: Queue,
    anonymous: Queue,
    clock: Clock,
}

/// Waiting calls of one priority, first in, first out.
#[derive(Default)]
struct Queue {
    order: InOrder<()>,
    waiting: AtomicUsize,
}

/// Permission for one call to leave. Dropping it frees the call permit.
pub(super) struct CallPermit<'a> {
    _permit: SemaphorePermit<'a>,
    /// Time of the decision, on the monotonic clock.
    pub(super) at: Duration,
}

/// Reason why a call may not leave.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum NotAdmitted {
    /// The budget is spent. The duration is the time until a cell, as far as known.
    Budget(Duration),
    /// No call permit is free, or too many calls wait for one.
    QueueFull,
}

impl CallQueue {
    pub(super) fn new(
        quota: Quota,
        lease_queue: Option<Arc<LeaseQueue>>,
        permits: usize,
        clock: &Clock,
    ) -> Self {
        Self {
            budget: Mutex::new(Budget::new(quota, lease_queue)),
            permits: Semaphore::new(permits),
            authenticated: Queue::default(),
            anonymous: Queue::default(),
            clock: clock.clone(),
        }
    }

    /// Takes a call permit and spends a cell. Waits for both, except for a background refresh.
    pub(super) async fn take(
        &self,
        priority: Priority,
        deadline: Instant,
    ) -> Result<CallPermit<'_>, NotAdmitted> {
        let queue = match priority {
            Priority::Authenticated => &self.authenticated,
            Priority::Anonymous => &self.anonymous,
            Priority::Background if Instant::now() >= deadline => {
                return Err(NotAdmitted::QueueFull);
            }
            Priority::Background => {
                let permit = self.permits.try_acquire().map_err(|_| NotAdmitted::QueueFull)?;
                let at =
                    self.spend_within_grant_time(priority).await.map_err(NotAdmitted::Budget)?;
                return Ok(CallPermit { _permit: permit, at });
            }
        };
        let entry = queue.enter();
        let ahead = self.ahead(priority, entry.before);
        if entry.before >= QUEUE_MAX {
            return Err(NotAdmitted::QueueFull);
        }
        if ahead > WAIT_MAX {
            return Err(NotAdmitted::Budget(ahead));
        }
        let mut acquiring = std::pin::pin!(self.wait(priority, queue));
        let mut extended = false;
        loop {
            tokio::select! {
                biased;
                // Checked first: no cell is spent on a call that would return too late.
                () = sleep_until(deadline) => return Err(self.not_admitted(priority, entry.before)),
                acquired = &mut acquiring => return Ok(acquired),
                () = self.clock.sleep(WAIT_MAX) => {
                    // With all permits taken, the call waits for a permit and not for the budget.
                    let ahead = self.ahead(priority, entry.before);
                    // After the process slept, the wait is over although a cell is about to come.
                    if self.permits.available_permits() > 0 && (ahead > SOON || extended) {
                        return Err(NotAdmitted::Budget(ahead));
                    }
                    extended = true;
                }
            }
        }
    }

    /// Returns what a call waits for, if `others` calls are ahead of it.
    fn not_admitted(&self, priority: Priority, others: usize) -> NotAdmitted {
        // With all permits taken, the call waits for a permit and not for the budget.
        if self.permits.available_permits() > 0 {
            NotAdmitted::Budget(self.ahead(priority, others))
        } else {
            NotAdmitted::QueueFull
        }
    }

    async fn wait(&self, priority: Priority, queue: &Queue) -> CallPermit<'_> {
        let _in_order = queue.order.lock().await;
        let permit = self.permits.acquire().await.expect("the semaphore is never closed");
        loop {
            match self.spend(priority) {
                Ok(at) => return CallPermit { _permit: permit, at },
                Err(wait) => self.clock.sleep(wait).await,
            }
        }
    }

    /// Spends a cell that is here, or that the fleet's ledger grants within `GRANTED_WITHIN`.
    async fn spend_within_grant_time(&self, priority: Priority) -> Result<Duration, Duration> {
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
        if self.must_yield(priority) {
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

    /// Returns whether a more urgent call is waiting. That call takes the next cell.
    fn must_yield(&self, priority: Priority) -> bool {
        priority != Priority::Authenticated
            && self.authenticated.waiting.load(Ordering::Acquire) > 0
    }

    /// Returns the time until a call gets a cell, if `others` calls are ahead of it.
    fn ahead(&self, priority: Priority, others: usize) -> Duration {
        let mut budget = self.budget.lock();
        let others = u32::try_from(others).unwrap_or(u32::MAX);
        let now = self.clock.monotonic();
        let first = budget.wait(priority, now);
        first.saturating_add(budget.interval(now).saturating_mul(others))
    }

    /// Returns whether a background refresh could leave now.
    pub(super) fn can_refresh_now(&self) -> bool {
        let now = self.clock.monotonic();
        !self.must_yield(Priority::Background)
            && self.permits.available_permits() > 0
            && self.budget.lock().can_refresh_now(now)
    }

    /// Learns a limit that the upstream states.
    pub(super) fn learn(&self, window: Window) {
        self.budget.lock().learn(window, self.clock.monotonic());
    }

    /// Records that the upstream requested a pause, with the wait that it stated.
    pub(super) fn pause(&self, wait: Duration) {
        self.budget.lock().pause(wait, self.clock.monotonic());
    }

    /// Returns the rest of the wait that the upstream requested.
    pub(super) fn paused(&self) -> Duration {
        self.budget.lock().paused(self.clock.monotonic())
    }

    /// Records that a call admitted at `at` ended without a request to pause, or did not leave after
    /// all.
    pub(super) fn resume(&self, at: Duration) {
        self.budget.lock().resume(at);
    }

    pub(super) fn available(&self) -> u32 {
        self.budget.lock().available(self.clock.monotonic())
    }

    /// Returns the limit in force, and its source.
    pub(super) fn limit(&self) -> BudgetLimit {
        self.budget.lock().limit(self.clock.monotonic())
    }

    /// Returns the budget in force: its burst, and the time in which the whole burst comes back.
    pub(super) fn bucket(&self) -> (u32, Duration) {
        self.budget.lock().bucket(self.clock.monotonic())
    }
}

impl Queue {
    fn enter(&self) -> QueueEntry<'_> {
        QueueEntry { queue: self, before: self.waiting.fetch_add(1, Ordering::AcqRel) }
    }
}

/// Place of one call in a queue. Dropping it leaves the queue.
struct QueueEntry<'a> {
    queue: &'a Queue,
    /// Number of calls that were in the queue before it.
    before: usize,
}

impl Drop for QueueEntry<'_> {
    fn drop(&mut self) {
        self.queue.waiting.fetch_sub(1, Ordering::AcqRel);
    }
}
