//! Request's view of a fill: joining one, and the handle that completes it.
//!
//! The lock, the list of fills and the rules for storing are in `cache`.

use std::sync::Arc;
use std::time::Duration;

use super::cache::{Cache, Registered};
use super::freshness::Origin;
use super::in_flight::{FillEnd, Finished, InFlight, Waiter};
use super::response::StoredResponse;
use crate::file_id::FileId;

/// Role of a request in the fill of the file that it missed.
pub enum Join<E: Clone> {
    /// A fill ended since the lookup that missed: answer with its response.
    Hit { response: Arc<StoredResponse>, ttl_left: Duration },
    /// No fill that may be joined was in progress: complete this one in a task of its own, and wait
    /// like a follower.
    Leader(Fill<E>, Waiter<E>),
    /// A fill is in progress: wait for its end.
    Follower(Waiter<E>),
}

impl<E: Clone> Cache<E> {
    /// Joins the fill of `id`, or starts one.
    pub fn join(self: &Arc<Self>, id: &FileId, now: Duration) -> Join<E> {
        match self.register_fill(id, now) {
            Registered::Hit { response, ttl_left } => Join::Hit { response, ttl_left },
            Registered::InProgress(fill) => Join::Follower(fill.waiter()),
            Registered::New(in_flight) => {
                let waiter = in_flight.waiter();
                Join::Leader(Fill { cache: Arc::clone(self), id: *id, in_flight }, waiter)
            }
        }
    }
}

/// Handle that completes one fill: its holder must fetch. Dropping it (its task panicked) wakes
/// the waiters without a response, so a lost fill can fail requests but never block them.
#[must_use = "a fill that is dropped fails every request that waits for it"]
pub struct Fill<E: Clone> {
    cache: Arc<Cache<E>>,
    id: FileId,
    in_flight: Arc<InFlight<E>>,
}

impl<E: Clone> Fill<E> {
    pub fn id(&self) -> &FileId {
        &self.id
    }

    /// Stores the response, unless a hard invalidation or a newer fill came since this one began,
    /// and wakes the waiters with it either way.
    pub fn finish(self, response: Arc<StoredResponse>, origin: Origin) -> Finished {
        let finished = self.cache.finish(&self.id, &self.in_flight, &response, origin);
        self.in_flight.end(FillEnd::Answered { response, finished, origin });
        finished
    }

    /// Wakes the waiters with a response that must not be stored, and removes what it replaces.
    pub fn answer_only(self, response: Arc<StoredResponse>) {
        self.cache.forget(&self.id, &self.in_flight);
        let (finished, origin) = (Finished::Unstorable, Origin::Upstream);
        self.in_flight.end(FillEnd::Answered { response, finished, origin });
    }

    /// Tells the waiters why there is no response. What is stored stays.
    pub fn fail(self, error: E) {
        // Unregistered first: a waiter that learns of the failure must be able to start a new fill.
        self.unregister();
        self.in_flight.end(FillEnd::Failed(error));
    }

    fn unregister(&self) {
        self.cache.unregister(&self.id, &self.in_flight);
    }
}

impl<E: Clone> Drop for Fill<E> {
    fn drop(&mut self) {
        // After a regular end this does nothing: only the fill's own entry is removed.
        self.unregister();
    }
}
