//! The one way in for whoever wants a stored list gone: operators, ImageKit itself, and the other
//! gateways of a fleet.
//!
//! What an invalidation promises is the cache's doing ([`crate::cache`]), and a fleet's
//! ([`Bus`]); that each one is counted and can be found in the log is this room's.
//!
//! - [`webhook`]: ImageKit's deliveries; [`signature`]: whether they are ImageKit's; [`event`]:
//!   what they say.

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

/// Who asked for it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[repr(u8)]
pub enum InvalidationSource {
    Admin,
    /// The fleet: something of it may have been missed, so nothing that is stored counts.
    Cluster,
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

/// What is to be forgotten.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Purge {
    pub target: Target,
    pub mode: PurgeMode,
    pub source: InvalidationSource,
}

/// A purge was applied here, and the rest of the fleet has not heard of it: it is told as soon as
/// it can be.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the purge is done here, and the rest of the fleet could not be told yet")]
pub struct Partial;

/// A purge that everyone who asks the fleet's server finds done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Published {
    /// Here too: it has come back.
    AppliedHere,
    /// It has not come back yet.
    Unapplied,
}

/// How the rest of a fleet hears of a purge.
pub trait Bus: Send + Sync {
    /// Done when everyone who asks the fleet's server finds it purged, whatever each node knows.
    fn publish(
        self: Arc<Self>,
        purge: Purge,
    ) -> Pin<Box<dyn Future<Output = Result<Published, Partial>> + Send>>;
}

/// Invalidates what the cache knows, in this process.
#[derive(Clone)]
pub struct LocalInvalidator {
    cache: Arc<Cache<Arc<UpstreamError>>>,
    clock: Clock,
}

impl LocalInvalidator {
    pub fn new(cache: Arc<Cache<Arc<UpstreamError>>>, clock: Clock) -> Self {
        Self { cache, clock }
    }

    /// Done when it returns.
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

/// Invalidates what the cache knows, and what the fleet does.
#[derive(Clone)]
pub struct Invalidator {
    local: LocalInvalidator,
    /// `None`: there is no fleet.
    bus: Option<Arc<dyn Bus>>,
}

impl Invalidator {
    pub fn new(local: LocalInvalidator, bus: Option<Arc<dyn Bus>>) -> Self {
        Self { local, bus }
    }

    /// Done when it returns, here and where the fleet's server is asked.
    ///
    /// # Errors
    ///
    /// [`Partial`] where the rest of the fleet could not be told. Here it is done.
    pub async fn invalidate(&self, purge: Purge) -> Result<(), Partial> {
        let Some(bus) = &self.bus else {
            self.local.apply(&purge);
            return Ok(());
        };
        let (bus, local) = (Arc::clone(bus), self.local.clone());
        // In a task of its own: whoever asked may leave before both are done.
        let done = tokio::spawn(async move {
            let published = bus.publish(purge).await;
            // Not before: what is fetched between the two may be what was to be forgotten.
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
