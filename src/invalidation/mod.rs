//! The one way in for whoever wants a stored list gone: operators, and ImageKit itself.
//!
//! What an invalidation promises is the cache's doing ([`crate::cache::store`]); that each one is
//! counted and can be found in the log is this room's.

//!
//! - [`webhook`]: ImageKit's deliveries; [`signature`]: whether they are ImageKit's; [`event`]:
//!   what they say.

pub mod event;
pub mod signature;
pub mod webhook;

use std::sync::Arc;

pub use signature::{SignatureFault, SigningSecret};
pub use webhook::{WebhookOutcome, WebhookSettings, Webhooks};

use crate::cache::{Cache, Force, Target};
use crate::clock::Clock;
use crate::upstream::UpstreamError;

/// Who asked for it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[repr(u8)]
pub enum InvalidationSource {
    Admin,
    Webhook,
}

impl InvalidationSource {
    pub const ALL: [Self; 2] = [Self::Admin, Self::Webhook];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Webhook => "webhook",
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
