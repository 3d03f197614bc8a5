//! Request collapsing: the shared state of one fill in progress, and its waiters.
//!
//! At most one current fill per file is in progress. It belongs to no request: the first request
//! that misses gets the handle that completes it (`cache::Fill`) and gives that to a task of its
//! own; every request, the first included, waits as a [`Waiter`]. A client that disconnects
//! changes nothing for the others. All waiters wake together, from one notification.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;

use super::freshness::{Freshness, Origin};
use super::purge_epochs::Generation;
use super::response::StoredResponse;

/// End of a fill, as each waiter sees it.
#[derive(Clone, Debug)]
pub enum FillEnd<E> {
    Answered { response: Arc<StoredResponse>, finished: Finished, origin: Origin },
    Failed(E),
}

/// Result of storing a fill's response.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Finished {
    /// Stored.
    Kept { freshness: Freshness },
    /// Not stored: the admission policy refused it, or it exceeds the limit by itself.
    NotAdmitted { freshness: Freshness },
    /// Not stored: a hard invalidation came after the fill began, or a newer fill took its place.
    Superseded,
    /// Not stored: the upstream forbids it.
    Unstorable,
}

impl Finished {
    /// Returns the response's freshness; `None` if it is outdated or must not be reused.
    pub fn freshness(self) -> Option<Freshness> {
        match self {
            Self::Kept { freshness } | Self::NotAdmitted { freshness } => Some(freshness),
            Self::Superseded | Self::Unstorable => None,
        }
    }

    pub fn is_kept(self) -> bool {
        matches!(self, Self::Kept { .. })
    }
}

/// Value of `expired` for a fill that no soft invalidation has hit.
const NEVER: u64 = u64::MAX;

/// Shared state of a fill in progress.
pub(super) struct InFlight<E> {
    pub(super) generation: Generation,
    pub(super) began: Duration,
    /// Time of the first soft invalidation that hit it, in nanoseconds of the monotonic clock.
    expired: AtomicU64,
    end: watch::Sender<Option<FillEnd<E>>>,
}

impl<E: Clone> InFlight<E> {
    pub(super) fn new(generation: Generation, began: Duration) -> Arc<Self> {
        let (end, _) = watch::channel(None);
        Arc::new(Self { generation, began, expired: AtomicU64::new(NEVER), end })
    }

    pub(super) fn waiter(&self) -> Waiter<E> {
        Waiter(self.end.subscribe())
    }

    pub(super) fn waiting(&self) -> usize {
        self.end.receiver_count()
    }

    /// Ends the freshness of the response at `now`: a soft invalidation came.
    pub(super) fn expire(&self, now: Duration) {
        let now = u64::try_from(now.as_nanos()).unwrap_or(NEVER - 1);
        // The first invalidation counts: no freshness is left after it.
        self.expired.fetch_min(now, Ordering::AcqRel);
    }

    pub(super) fn expired_at(&self) -> Option<Duration> {
        let at = self.expired.load(Ordering::Acquire);
        (at != NEVER).then(|| Duration::from_nanos(at))
    }

    pub(super) fn end(&self, end: FillEnd<E>) {
        self.end.send_replace(Some(end));
    }
}

/// A request that waits for one fill.
pub struct Waiter<E>(watch::Receiver<Option<FillEnd<E>>>);

impl<E: Clone> Waiter<E> {
    /// Waits for the end of the fill. Returns `None` if its handle was dropped.
    ///
    /// Cancel-safe: a waiter that stops waiting changes nothing for the others.
    pub async fn wait(mut self) -> Option<FillEnd<E>> {
        match self.0.wait_for(Option::is_some).await {
            Ok(end) => end.clone(),
            Err(_handle_dropped) => None,
        }
    }
}
