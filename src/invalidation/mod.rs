//! The one way in for whoever wants a stored list gone: operators now, others later.
//!
//! What an invalidation promises is the cache's doing ([`crate::cache::store`]); that each one is
//! counted and can be found in the log is this room's.

use std::sync::Arc;

use crate::cache::{Cache, Force, Target};
use crate::clock::Clock;
use crate::upstream::UpstreamError;

/// Who asked for it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[repr(u8)]
pub enum InvalidationSource {
    Admin,
}

impl InvalidationSource {
    pub const ALL: [Self; 1] = [Self::Admin];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
        }
    }
}

/// Invalidates what the cache knows.
#[derive(Clone)]
pub struct Invalidator {
    cache: Arc<Cache<Arc<UpstreamError>>>,
    clock: Clock,
}

impl Invalidator {
    pub fn new(cache: Arc<Cache<Arc<UpstreamError>>>, clock: Clock) -> Self {
        Self { cache, clock }
    }

    /// Done when it returns.
    pub fn invalidate(&self, target: &Target, force: Force, source: InvalidationSource) {
        self.cache.invalidate(target, force, source.as_str(), self.clock.monotonic());
        tracing::info!(
            target: "ikgate.invalidation",
            source = source as u64,
            force = force as u64,
        );
        match target {
            Target::All => tracing::info!(source = source.as_str(), ?force, "purged everything"),
            Target::File(file) => {
                tracing::info!(source = source.as_str(), ?force, %file, "purged a file");
            }
        }
    }
}
