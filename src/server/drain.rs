//! An orderly end: nothing new begins, what has begun may finish, up to a point.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Shared by everything that has to end together.
#[derive(Clone, Debug, Default)]
pub struct Drain {
    announced: CancellationToken,
    begin: CancellationToken,
    cut: CancellationToken,
    connections: TaskTracker,
}

/// Which way a drain ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DrainEnd {
    /// Connections that did not finish in time.
    Cut {
        connections: usize,
    },
    Finished,
}

impl Drain {
    /// Resolves once the drain has begun.
    pub async fn begun(&self) {
        self.begin.cancelled().await;
    }

    /// Says that the end is near while everything still works: whoever balances load between
    /// several should look elsewhere from now on.
    pub fn announce(&self) {
        self.announced.cancel();
    }

    pub fn is_announced(&self) -> bool {
        self.announced.is_cancelled()
    }

    pub(super) async fn cut(&self) {
        self.cut.cancelled().await;
    }

    pub(super) fn track(&self, connection: impl Future<Output = ()> + Send + 'static) {
        self.connections.spawn(connection);
    }

    /// Open connections.
    pub fn connections(&self) -> usize {
        self.connections.len()
    }

    /// Stops accepting, waits for what is open, and cuts what is left after `grace`.
    pub async fn run(&self, grace: Duration) -> DrainEnd {
        self.announce();
        self.begin.cancel();
        self.connections.close();
        if tokio::time::timeout(grace, self.connections.wait()).await.is_ok() {
            return DrainEnd::Finished;
        }
        let connections = self.connections.len();
        self.cut.cancel();
        self.connections.wait().await;
        DrainEnd::Cut { connections }
    }
}
