//! Request collapsing: at most one current fill per file is in progress.
//!
//! A fill belongs to nobody: whoever missed first gets its ticket ([`Fill`]) and hands it to a
//! task of its own; everybody, the first included, waits as a [`Waiter`]. A client that hangs
//! up changes nothing for the others. All waiters wake together, from one notification.
//!
//! A ticket that is dropped unredeemed (its task panicked) leaves the list and wakes its
//! waiters with nothing, so a lost fill can fail a request but never strand one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;

use super::entry::StoredResponse;
use super::freshness::Freshness;
use super::purges::Generation;
use super::store::Cache;
use crate::file_id::FileId;

/// How a fill ended, as everyone who waited for it hears.
#[derive(Clone, Debug)]
pub enum FillEnd<E> {
    /// `freshness`: how the response was stored. `None`: it was not.
    Answered {
        response: Arc<StoredResponse>,
        freshness: Option<Freshness>,
        origin: Origin,
    },
    Failed(E),
}

/// Where a fill had its response from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Origin {
    /// A cache that others fill too, who say how long it is fresh.
    SecondLevel {
        ttl: Duration,
    },
    Upstream,
}

/// A fill in progress, as it stands in the list.
pub(super) struct Flight<E> {
    pub(super) generation: Generation,
    pub(super) began: Duration,
    /// When a soft invalidation hit it, in nanoseconds; [`NEVER`] if none did.
    softened: AtomicU64,
    end: watch::Sender<Option<FillEnd<E>>>,
}

const NEVER: u64 = u64::MAX;

impl<E: Clone> Flight<E> {
    pub(super) fn new(generation: Generation, began: Duration) -> Arc<Self> {
        let (end, _) = watch::channel(None);
        Arc::new(Self { generation, began, softened: AtomicU64::new(NEVER), end })
    }

    pub(super) fn waiter(&self) -> Waiter<E> {
        Waiter(self.end.subscribe())
    }

    pub(super) fn waiting(&self) -> usize {
        self.end.receiver_count()
    }

    /// What comes back is older than a soft invalidation at `now`: its freshness ends there.
    pub(super) fn soften(&self, now: Duration) {
        let now = u64::try_from(now.as_nanos()).unwrap_or(NEVER - 1);
        // The first one counts: after it there is no freshness left to end.
        self.softened.fetch_min(now, Ordering::AcqRel);
    }

    pub(super) fn softened(&self) -> Option<Duration> {
        let at = self.softened.load(Ordering::Acquire);
        (at != NEVER).then(|| Duration::from_nanos(at))
    }

    pub(super) fn land(&self, end: FillEnd<E>) {
        self.end.send_replace(Some(end));
    }
}

/// The ticket of one fill: whoever holds it must fetch.
#[must_use = "a fill that nobody redeems fails everyone who waits for it"]
pub struct Fill<E: Clone> {
    cache: Arc<Cache<E>>,
    id: FileId,
    flight: Arc<Flight<E>>,
}

impl<E: Clone> Fill<E> {
    pub(super) fn new(cache: Arc<Cache<E>>, id: FileId, flight: Arc<Flight<E>>) -> Self {
        Self { cache, id, flight }
    }

    pub fn id(&self) -> &FileId {
        &self.id
    }

    /// Stores the response, unless an invalidation says that it is too old, and wakes everyone.
    /// How it was stored, if it was.
    pub fn store(self, response: Arc<StoredResponse>, origin: Origin) -> Option<Freshness> {
        let freshness = self.cache.store(&self.id, &self.flight, &response, origin);
        self.flight.land(FillEnd::Answered { response, freshness, origin });
        freshness
    }

    /// Answers the waiters with something that must not be kept, and forgets what was stored:
    /// it has been replaced by something that cannot be.
    pub fn answer_only(self, response: Arc<StoredResponse>) {
        self.cache.forget(&self.id, &self.flight);
        self.flight.land(FillEnd::Answered { response, freshness: None, origin: Origin::Upstream });
    }

    /// Tells everyone why there is no response. What is stored stays.
    pub fn fail(self, error: E) {
        // Off the list first: whoever hears of it must be able to start anew.
        self.cache.leave(&self.id, &self.flight);
        self.flight.land(FillEnd::Failed(error));
    }
}

impl<E: Clone> Drop for Fill<E> {
    fn drop(&mut self) {
        // Again for a fill that ended in order: it only leaves if its place is still its own.
        self.cache.leave(&self.id, &self.flight);
    }
}

/// A place among those who wait for one fill.
pub struct Waiter<E>(watch::Receiver<Option<FillEnd<E>>>);

impl<E: Clone> Waiter<E> {
    /// Waits for the end of the fill. `None`: it was lost.
    ///
    /// Cancel-safe: whoever stops waiting changes nothing for the others.
    pub async fn wait(mut self) -> Option<FillEnd<E>> {
        match self.0.wait_for(Option::is_some).await {
            Ok(end) => end.clone(),
            Err(_fill_lost) => None,
        }
    }
}
