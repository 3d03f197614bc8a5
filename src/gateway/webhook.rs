//! `POST /webhooks/imagekit`, by its own rules: no caller, no quota but its address's, a body
//! that is read.

use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use tokio::sync::Semaphore;

use super::{GatewayBody, ThrottledBy};
use crate::caller::Subscriber;
use crate::clock::Clock;
use crate::error::GatewayError;
use crate::exchange::CallerLabel;
use crate::invalidation::{WebhookOutcome, Webhooks};
use crate::limit::{Limits, Throttled, WEBHOOK_QUOTA};
use crate::message::{HeadFault, head};

/// Deliveries that are read at once. Each may hold a body of the longest kind.
const AT_ONCE: usize = 16;

/// How long a body may take. Events are short; longer only serves those that hold a place.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// The wait told to a delivery that finds no place.
const BUSY_WAIT: Duration = Duration::from_secs(1);

/// Where deliveries come in.
pub struct WebhookEntrance {
    webhooks: Webhooks,
    places: Semaphore,
}

impl WebhookEntrance {
    pub fn new(webhooks: Webhooks) -> Self {
        Self { webhooks, places: Semaphore::new(AT_ONCE) }
    }

    /// Takes one delivery. When it returns, what the event concerns is invalidated.
    pub(super) async fn take<B: GatewayBody>(
        &self,
        head: &Parts,
        body: B,
        from: Subscriber,
        limits: &Limits,
        clock: &Clock,
    ) -> Result<(), GatewayError> {
        let busy = |throttled| {
            tracing::info!(
                target: "ikgate.throttled",
                caller = CallerLabel::NONE.0,
                limit = ThrottledBy::Webhook as u64,
            );
            WebhookOutcome::Busy.emit(clock.wall());
            GatewayError::Throttled(throttled)
        };
        limits.admit_webhook(from).map_err(busy)?;
        let place = self.places.try_acquire();
        let _place =
            place.map_err(|_| busy(Throttled { quota: WEBHOOK_QUOTA, wait: BUSY_WAIT }))?;
        let body = read(body).await.inspect_err(|_| WebhookOutcome::Unread.emit(clock.wall()))?;
        Ok(self.webhooks.receive(&head.headers, &body)?)
    }
}

async fn read<B: GatewayBody>(body: B) -> Result<Bytes, GatewayError> {
    let body = Limited::new(body, head::WEBHOOK_BODY_MAX).collect();
    match tokio::time::timeout(BODY_TIMEOUT, body).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            Err(GatewayError::Head(HeadFault::BodyTooLarge))
        }
        // It broke off: whoever sent it is gone.
        Ok(Err(_)) | Err(_) => Err(GatewayError::BodyTimeout),
    }
}
