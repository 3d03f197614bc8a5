//! Channel that tells the other gateways of a fleet about a purge.

use std::pin::Pin;
use std::sync::Arc;

use super::purge::Purge;

/// Partial purge: applied on this gateway, but the rest of the fleet does not know of it yet. The
/// gateway tells the fleet as soon as it can.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the purge is applied on this gateway; the rest of the fleet could not be told yet")]
pub struct PartialPurge;

/// Purge that the fleet's Redis knows: each node that asks Redis finds it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Published {
    /// Redis has delivered it back, so it is applied on this gateway too.
    AppliedHere,
    /// Redis has not delivered it back yet.
    Unapplied,
}

/// Channel that tells the other gateways of a fleet about a purge.
pub trait PurgeBus: Send + Sync {
    /// Publishes a purge. It is done when each node that asks the fleet's Redis finds it, even a
    /// node whose own cache does not know of it yet.
    fn publish(
        self: Arc<Self>,
        purge: Purge,
    ) -> Pin<Box<dyn Future<Output = Result<Published, PartialPurge>> + Send>>;
}
