//! `POST /webhooks/imagekit`: receives ImageKit's webhook deliveries. They have no caller and one
//! quota for each address, and their body is read.

use std::time::Duration;

use http::request::Parts;
use tokio::sync::Semaphore;

use super::access_rules::count_throttled;
use super::request_body::{GatewayBody, read};
use crate::clock::Clock;
use crate::error::GatewayError;
use crate::exchange::CallerLabel;
use crate::invalidation::{WebhookOutcome, Webhooks};
use crate::limit::{KeyedPermits, Limit, Limits, Subscriber};

/// Longest body, in bytes.
const BODY_MAX: usize = 256 * 1024;

/// Deliveries that are read at once. Each may hold a body of [`BODY_MAX`] bytes.
const READ_MAX: usize = 16;
/// Deliveries that are read at once from one address. An address that uses all of them leaves some
/// for ImageKit.
const READ_MAX_OF_ONE: usize = 12;

/// Longest time for a body. Events are short. A longer limit only serves clients that hold a
/// permit.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// Receiver of webhook deliveries, with its limits.
pub struct WebhookReceiver {
    webhooks: Webhooks,
    permits: Semaphore,
    permits_of_one: KeyedPermits<Subscriber>,
}

impl WebhookReceiver {
    pub fn new(webhooks: Webhooks) -> Self {
        let permits_of_one = KeyedPermits::new(READ_MAX_OF_ONE);
        Self { webhooks, permits: Semaphore::new(READ_MAX), permits_of_one }
    }

    /// Receives one delivery. When it returns, what the event concerns is invalidated.
    pub(super) async fn receive<B: GatewayBody>(
        &self,
        head: &Parts,
        body: B,
        from: Subscriber,
        limits: &Limits,
        clock: &Clock,
    ) -> Result<(), GatewayError> {
        let refused = |error| {
            count_throttled(Limit::Webhook, CallerLabel::NONE);
            WebhookOutcome::Busy.emit(clock.wall());
            error
        };
        limits.admit_webhook(from).map_err(|throttled| refused(throttled.into()))?;
        let busy = || refused(GatewayError::WebhooksBusy);
        let _permit_of_one = self.permits_of_one.try_take(from).ok_or_else(busy)?;
        let _permit = self.permits.try_acquire().map_err(|_| busy())?;
        let body = read(body, BODY_MAX, BODY_TIMEOUT).await;
        let body = body.inspect_err(|_| WebhookOutcome::Unread.emit(clock.wall()))?;
        Ok(self.webhooks.receive(&head.headers, &body).await?)
    }
}
