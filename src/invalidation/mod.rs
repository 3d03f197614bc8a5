//! Invalidation of stored version lists, requested by operators, ImageKit's webhooks, or the fleet.
//!
//! The cache defines what an invalidation promises ([`crate::cache`]), and [`Bus`] what a fleet
//! promises. This module counts each invalidation and logs it.
//!
//! - [`webhook`]: ImageKit's webhook deliveries.
//! - [`signature`]: their signatures.
//! - [`event`]: their events.

pub mod event;
pub mod signature;
pub mod webhook;

use std::pin::Pin;
use std::sync::Arc;

pub use signature::{SignatureFault, SigningSecret};
pub use webhook::{WebhookFault, WebhookOutcome, WebhookSettings, Webhooks};

use crate::cache::{Cache, PurgeMode, Target};
use crate::clock::Clock;
use crate::upstream::UpstreamError;

/// Source of an invalidation.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[repr(u8)]
pub enum InvalidationSource {
    /// An operator, through the admin API.
    Admin,
    /// The gateway's link to the fleet. It may have missed a purge, so it purges everything.
    Cluster,
    /// A webhook delivery of ImageKit.
    Webhook,
}

impl InvalidationSource {
    pub const ALL: [Self; 3] = [Self::Admin, Self::Cluster, Self::Webhook];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Cluster => "cluster",
            Self::Webhook => "webhook",
        }
    }
}

/// Purge: what to invalidate, in which mode, and its source.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Purge {
    pub target: Target,
    pub mode: PurgeMode,
    pub source: InvalidationSource,
}

/// Partial purge: applied on this gateway, but the rest of the fleet does not know of it yet. The
/// gateway tells the fleet as soon as it can.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the purge is applied on this gateway; the rest of the fleet could not be told yet")]
pub struct Partial;

/// Purge that the fleet's Redis knows: each node that asks Redis finds it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Published {
    /// Redis has delivered it back, so it is applied on this gateway too.
    AppliedHere,
    /// Redis has not delivered it back yet.
    Unapplied,
}

/// Channel that tells the other gateways of a fleet about a purge.
pub trait Bus: Send + Sync {
    /// Publishes a purge. It is done when each node that asks the fleet's Redis finds it, even a
    /// node whose own cache does not know of it yet.
    fn publish(
        self: Arc<Self>,
        purge: Purge,
    ) -> Pin<Box<dyn Future<Output = Result<Published, Partial>> + Send>>;
}

/// Invalidator for this gateway's cache alone.
#[derive(Clone)]
pub struct LocalInvalidator {
    cache: Arc<Cache<Arc<UpstreamError>>>,
    clock: Clock,
}

impl LocalInvalidator {
    pub fn new(cache: Arc<Cache<Arc<UpstreamError>>>, clock: Clock) -> Self {
        Self { cache, clock }
    }

    /// Applies a purge to this gateway's cache. It is final when this returns.
    pub fn apply(&self, purge: &Purge) {
        let Purge { target, mode, source } = *purge;
        self.cache.invalidate(&target, mode, source.as_str(), self.clock.monotonic());
        tracing::info!(
            target: "ikgate.invalidation",
            source = source as u64,
            force = mode as u64,
        );
        match target {
            Target::All => {
                tracing::info!(source = source.as_str(), force = ?mode, "purged everything");
            }
            Target::File(file) => {
                tracing::info!(source = source.as_str(), force = ?mode, %file, "purged a file");
            }
        }
    }
}

/// Invalidator for this gateway's cache and the fleet.
#[derive(Clone)]
pub struct Invalidator {
    local: LocalInvalidator,
    /// Channel to the fleet; `None` for a single gateway.
    bus: Option<Arc<dyn Bus>>,
}

impl Invalidator {
    pub fn new(local: LocalInvalidator, bus: Option<Arc<dyn Bus>>) -> Self {
        Self { local, bus }
    }

    /// Applies a purge. When this returns, it is final on this gateway and in the fleet's Redis.
    ///
    /// # Errors
    ///
    /// [`Partial`] if the rest of the fleet could not be told. The purge is final on this gateway.
    pub async fn invalidate(&self, purge: Purge) -> Result<(), Partial> {
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
            Err(Partial)
        })
    }
}
