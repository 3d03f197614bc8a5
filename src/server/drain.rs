//! An orderly end: nothing new begins, what has begun may finish, up to a point.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::task::TaskTracker;

/// Shared by everything that has to end together.
#[derive(Clone, Debug, Default)]
pub struct Drain {
    announced: Announcement,
    begun: Signal,
    cut: Signal,
    acceptors: TaskTracker,
    connections: TaskTracker,
}

/// That the end is near.
#[derive(Clone, Debug, Default)]
pub(super) struct Announcement(Arc<AtomicBool>);

impl Announcement {
    pub(super) fn is_made(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// Something that happens once, for everybody.
///
/// Whether it has is one load: every connection looks at each of its turns.
#[derive(Clone, Debug, Default)]
pub(super) struct Signal(Arc<(AtomicBool, Notify)>);

/// Which way a drain ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DrainEnd {
    /// Connections that did not finish in time.
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

    /// Resolves once it has been given.
    pub(super) async fn given(&self) {
        let mut notified = pin!(self.0.1.notified());
        // On the list before the look, so that nothing given in between is missed.
        notified.as_mut().enable();
        if !self.is_given() {
            notified.await;
        }
    }
}

impl Drain {
    /// Says that the end is near while everything still works: whoever balances load between
    /// several should look elsewhere from now on, and connections of HTTP/1.1 end with their next
    /// answer.
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

    /// Given when the drain begins, and when what is left is to end at once.
    pub(super) fn signals(&self) -> (&Signal, &Signal) {
        (&self.begun, &self.cut)
    }

    /// Runs what accepts connections. It must end when the drain has begun.
    pub(super) fn accept(&self, acceptor: impl Future<Output = ()> + Send + 'static) {
        self.acceptors.spawn(acceptor);
    }

    pub(super) fn track(&self, connection: impl Future<Output = ()> + Send + 'static) {
        self.connections.spawn(connection);
    }

    /// Open connections.
    pub fn connections(&self) -> usize {
        self.connections.len()
    }

    /// Stops accepting, and waits so long for what is open. How many are left then.
    pub async fn finish(&self, within: Duration) -> usize {
        self.announce();
        self.begun.give();
        self.acceptors.close();
        self.acceptors.wait().await;
        self.connections.close();
        _ = tokio::time::timeout(within, self.connections.wait()).await;
        self.connections.len()
    }

    /// Ends what is left at once.
    pub async fn cut(&self) {
        self.cut.give();
        self.connections.wait().await;
    }
}
