//! Channel that tells the other gateways of a fleet about a purge.

use std::pin::Pin;
use std::sync::Arc;

use super::purge::Purge;

/// Partial purge: applied on this gateway, but not published to the fleet yet. The gateway publishes
/// it as soon as it can.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the purge is applied on this gateway; the rest of the fleet could not be told yet")]
pub struct PartialPurge;

/// Published purge: from now on, each lookup in the fleet's Redis respects it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Published {
    /// Redis has delivered it back, so it is applied on this gateway too.
    AppliedHere,
    /// Redis has not delivered it back yet.
    Unapplied,
}

/// Channel that tells the other gateways of a fleet about a purge.
pub trait PurgeBus: Send + Sync {
    /// Publishes a purge. When this returns, each lookup in the fleet's Redis respects it, even on
    /// a node that has not received it yet.
    fn publish(
        self: Arc<Self>,
        purge: Purge,
    ) -> Pin<Box<dyn Future<Output = Result<Published, PartialPurge>> + Send>>;
}
