//! Graceful drain: no new connection is accepted, and open ones may finish within a grace period.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::task::TaskTracker;

/// Drain state, shared by everything that has to end together.
#[derive(Clone, Debug, Default)]
pub struct Drain {
    announced: Announcement,
    begun: Signal,
    cut: Signal,
    acceptors: TaskTracker,
    connections: TaskTracker,
}

/// Flag that a drain is about to begin.
#[derive(Clone, Debug, Default)]
pub(super) struct Announcement(Arc<AtomicBool>);

impl Announcement {
    pub(super) fn is_made(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// One-shot broadcast signal.
///
/// Its check is a single load, because every connection checks it on each of its turns.
#[derive(Clone, Debug, Default)]
pub(super) struct Signal(Arc<(AtomicBool, Notify)>);

/// Outcome of a drain.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DrainEnd {
    /// Connections did not finish in time and were cut.
    Cut {
        connections: usize,
    },
    Finished,
}

impl Signal {
    fn give(&self) {
        self.0.0.store(true, Ordering::Release);
        self.0.1.notify_waiters();
    }

    pub(super) fn is_given(&self) -> bool {
        self.0.0.load(Ordering::Acquire)
    }

    /// Resolves once the signal has been given.
    pub(super) async fn given(&self) {
        let mut notified = pin!(self.0.1.notified());
        // Registers before the check, so that a signal given in between is not missed.
        notified.as_mut().enable();
        if !self.is_given() {
            notified.await;
        }
    }
}

impl Drain {
    /// Announces the drain while everything still works. Load balancers should use another gateway
    /// from now on, and HTTP/1.1 connections end with their next response.
    pub fn announce(&self) {
        self.announced.0.store(true, Ordering::Release);
    }

    pub fn is_announced(&self) -> bool {
        self.announced.is_made()
    }

    pub(super) fn announcement(&self) -> Announcement {
        self.announced.clone()
    }

    /// Resolves once the drain has begun.
    pub async fn begun(&self) {
        self.begun.given().await;
    }

    /// Returns two signals. The first is given when the drain begins, the second when the remaining
    /// connections must end at once.
    pub(super) fn signals(&self) -> (&Signal, &Signal) {
        (&self.begun, &self.cut)
    }

    /// Runs a task that accepts connections. It must end once the drain has begun.
    pub(super) fn accept(&self, acceptor: impl Future<Output = ()> + Send + 'static) {
        self.acceptors.spawn(acceptor);
    }

    pub(super) fn track(&self, connection: impl Future<Output = ()> + Send + 'static) {
        self.connections.spawn(connection);
    }

    /// Returns the number of open connections.
    pub fn connections(&self) -> usize {
        self.connections.len()
    }

    /// Stops accepting, and waits up to `within` for open connections. Returns how many are left.
    pub async fn finish(&self, within: Duration) -> usize {
        self.announce();
        self.begun.give();
        self.acceptors.close();
        self.acceptors.wait().await;
        self.connections.close();
        _ = tokio::time::timeout(within, self.connections.wait()).await;
        self.connections.len()
    }

    /// Ends the remaining connections at once.
    pub async fn cut(&self) {
        self.cut.give();
        self.connections.wait().await;
    }
}
