//! Every error that one request can end with.

use std::sync::Arc;

use crate::caller::{AuthFailure, FileForbidden};
use crate::invalidation::{PartialPurge, SignatureFault, WebhookFault};
use crate::limit::Throttled;
use crate::message::HeadFault;
use crate::route::RouteFault;
use crate::upstream::UpstreamError;

/// Error that a request ends with.
#[derive(Clone, Debug, thiserror::Error)]
pub enum GatewayError {
    #[error(transparent)]
    Auth(#[from] AuthFailure),
    /// The body broke off, or its chunks cannot be parsed. The next request on the connection
    /// cannot be located.
    #[error("the request's body broke off, or its chunks cannot be parsed")]
    BodyBroken,
    #[error("the request's body did not arrive in time")]
    BodyTimeout,
    #[error(transparent)]
    Forbidden(#[from] FileForbidden),
    #[error(transparent)]
    Head(#[from] HeadFault),
    /// The fill was lost because its task panicked.
    #[error("a fill ended without a result")]
    Internal,
    #[error(transparent)]
    PurgePartial(#[from] PartialPurge),
    #[error(transparent)]
    Route(#[from] RouteFault),
    #[error("the gateway is shutting down")]
    ShuttingDown,
    #[error(transparent)]
    Signature(#[from] SignatureFault),
    #[error(transparent)]
    Throttled(#[from] Throttled),
    #[error(transparent)]
    Upstream(#[from] Arc<UpstreamError>),
    /// The upstream gave neither a response nor a failure within the time of a fill and a short
    /// margin.
    #[error("no answer from the upstream in time")]
    UpstreamTimeout,
    /// The limit of webhooks that are read at a time is reached.
    #[error("too many webhooks are being read")]
    WebhooksBusy,
}

impl From<WebhookFault> for GatewayError {
    fn from(fault: WebhookFault) -> Self {
        match fault {
            WebhookFault::Partial(partial) => partial.into(),
            WebhookFault::Signature(fault) => fault.into(),
        }
    }
}
