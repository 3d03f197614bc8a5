//! Why a request got an answer that the upstream did not give.
//!
//! Each variant is one thing a caller can do something about, or one thing an operator must look
//! at. Stages return their own errors; here alone they turn into a status, a code and a text.
//! The text is made of constants: no address, path or system error reaches a caller.

mod problems;
mod upstream;

use std::sync::Arc;

pub use problems::{bad_request, not_found, version_not_found};

use crate::caller::{AuthFailure, FileForbidden};
use crate::invalidation::{Partial, SignatureFault, WebhookFault};
use crate::limit::Throttled;
use crate::message::HeadFault;
use crate::route::RouteFault;
use crate::upstream::UpstreamError;

/// Everything that can go wrong with one request.
#[derive(Clone, Debug, thiserror::Error)]
pub enum GatewayError {
    #[error(transparent)]
    Auth(#[from] AuthFailure),
    /// It broke off, or its chunks cannot be parsed: what follows it is not known.
    #[error("the request's body is not whole")]
    BodyBroken,
    #[error("the request's body did not come in time")]
    BodyTimeout,
    #[error(transparent)]
    Forbidden(#[from] FileForbidden),
    #[error(transparent)]
    Head(#[from] HeadFault),
    /// A fill was lost: its task panicked.
    #[error("a fill ended without a result")]
    Internal,
    #[error(transparent)]
    PurgePartial(#[from] Partial),
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
    /// Neither an answer nor a failure, in the time that a fill may take and some more.
    #[error("no answer from the upstream in time")]
    UpstreamTimeout,
    /// As many webhooks are being read as may be.
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

/// An error and what caused it, in one line, for logs and terminals.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line = format!("{line}: {error}");
        cause = error.source();
    }
    line
}
