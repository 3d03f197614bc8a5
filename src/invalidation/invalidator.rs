//! Invalidators: they apply a purge to this gateway's cache, and publish it to the fleet.

use std::sync::Arc;
use std::time::Duration;

use super::purge::Purge;
use super::purge_bus::{PartialPurge, Published, PurgeBus};
use crate::cache::{Cache, Target};
use crate::clock::Clock;

/// Cache whose responses a purge can invalidate, for any error type of its fills.
trait PurgeableCache: Send + Sync {
    /// Applies a purge. It is final when this returns.
    fn purge(&self, purge: &Purge, now: Duration);
}

impl<E: Clone + Send + Sync> PurgeableCache for Cache<E> {
    fn purge(&self, purge: &Purge, now: Duration) {
        self.invalidate(&purge.target, purge.mode, purge.source.as_str(), now);
    }
}

/// Invalidator for this gateway's cache alone.
#[derive(Clone)]
pub struct LocalInvalidator {
    cache: Arc<dyn PurgeableCache>,
    clock: Clock,
}

impl LocalInvalidator {
    pub fn new<E>(cache: Arc<Cache<E>>, clock: Clock) -> Self
    where
        E: Clone + Send + Sync + 'static,
    {
        Self { cache, clock }
    }

    /// Applies a purge to this gateway's cache. It is final when this returns.
    pub fn apply(&self, purge: &Purge) {
        let Purge { target, mode, source } = *purge;
        self.cache.purge(purge, self.clock.monotonic());
        tracing::info!(
            target: "ikgate.invalidation",
            source = source as u64,
            mode = mode as u64,
        );
        match target {
            Target::All => {
                tracing::info!(source = source.as_str(), mode = mode.as_str(), "purged everything");
            }
            Target::File(file) => {
                tracing::info!(source = source.as_str(), mode = mode.as_str(), %file, "purged a file");
            }
        }
    }
}

/// Invalidator for this gateway's cache and the fleet.
#[derive(Clone)]
pub struct Invalidator {
    local: LocalInvalidator,
    /// Channel to the fleet; `None` for a single gateway.
    bus: Option<Arc<dyn PurgeBus>>,
}

impl Invalidator {
    pub fn new(local: LocalInvalidator, bus: Option<Arc<dyn PurgeBus>>) -> Self {
        Self { local, bus }
    }

    /// Applies a purge. When this returns, it is final on this gateway and in the fleet's Redis.
    ///
    /// # Errors
    ///
    /// [`PartialPurge`] if the purge could not be published. It is final on this gateway.
    pub async fn invalidate(&self, purge: Purge) -> Result<(), PartialPurge> {
        let Some(bus) = &self.bus else {
            self.local.apply(&purge);
            return Ok(());
        };
        let (bus, local) = (Arc::clone(bus), self.local.clone());
        // A task of its own: the caller may disconnect before both steps are done.
        let done = tokio::spawn(async move {
            let published = bus.publish(purge).await;
            // Not before the publication: a fetch between the two could bring back the response to
            // be purged.
            if published != Ok(Published::AppliedHere) {
                local.apply(&purge);
            }
            published.map(drop)
        });
        done.await.unwrap_or_else(|_panicked| {
            self.local.apply(&purge);
            Err(PartialPurge)
        })
    }
}
