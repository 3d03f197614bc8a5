//! `POST /webhooks/imagekit`, by its own rules: no caller, no quota but its address's, a body
//! that is read.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use parking_lot::Mutex;

use super::GatewayBody;
use super::policy::count_refusal;
use crate::clock::Clock;
use crate::error::GatewayError;
use crate::exchange::CallerLabel;
use crate::invalidation::{WebhookOutcome, Webhooks};
use crate::limit::{Limit, Limits, Subscriber};
use crate::message::HeadFault;

/// Longest body, in bytes.
const BODY_MAX: usize = 256 * 1024;

/// Deliveries that are read at once. Each may hold a body of the longest kind.
const PLACES: usize = 16;
/// How many of them one address may take: whoever keeps them all leaves some for ImageKit.
const PLACES_OF_ONE: usize = 12;

/// How long a body may take. Events are short; longer only serves those that hold a place.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// Where deliveries come in.
pub struct WebhookEntrance {
    webhooks: Webhooks,
    places: Places,
}

impl WebhookEntrance {
    pub fn new(webhooks: Webhooks) -> Self {
        Self { webhooks, places: Places::default() }
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
        let refused = |error| {
            count_refusal(Limit::Webhook, CallerLabel::NONE);
            WebhookOutcome::Busy.emit(clock.wall());
            error
        };
        limits.admit_webhook(from).map_err(|throttled| refused(throttled.into()))?;
        let _place = self.places.take(from).ok_or_else(|| refused(GatewayError::WebhooksBusy))?;
        let body = read(body).await.inspect_err(|_| WebhookOutcome::Unread.emit(clock.wall()))?;
        Ok(self.webhooks.receive(&head.headers, &body).await?)
    }
}

/// Who is being read.
#[derive(Default)]
struct Places(Mutex<HashMap<Subscriber, usize>>);

/// One place, given back when dropped.
struct Place<'a> {
    places: &'a Places,
    of: Subscriber,
}

impl Places {
    fn take(&self, of: Subscriber) -> Option<Place<'_>> {
        let mut taken = self.0.lock();
        let all: usize = taken.values().sum();
        let own = taken.get(&of).copied().unwrap_or(0);
        if all >= PLACES || own >= PLACES_OF_ONE {
            return None;
        }
        taken.insert(of, own + 1);
        Some(Place { places: self, of })
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut taken = self.places.0.lock();
        if let Some(own) = taken.get_mut(&self.of) {
            *own -= 1;
            if *own == 0 {
                taken.remove(&self.of);
            }
        }
    }
}

async fn read<B: GatewayBody>(body: B) -> Result<Bytes, GatewayError> {
    let too_large = || GatewayError::Head(HeadFault::BodyTooLarge);
    if body.size_hint().lower() > BODY_MAX as u64 {
        return Err(too_large());
    }
    let body = Limited::new(body, BODY_MAX).collect();
    match tokio::time::timeout(BODY_TIMEOUT, body).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        // It broke off: whoever sent it is gone.
        Ok(Err(_)) | Err(_) => Err(GatewayError::BodyTimeout),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_leaves_places_for_others_and_all_are_given_back() {
        let places = Places::default();
        let of = |text: &str| Subscriber::of(text.parse().unwrap(), 64);
        let take = |text: &str, count: usize| -> Vec<_> {
            (0..count).filter_map(|_| places.take(of(text))).collect()
        };
        let (greedy, other) = (take("192.0.2.1", 100), take("192.0.2.2", 100));
        assert_eq!((greedy.len(), other.len()), (12, 4));
        drop((greedy, other));
        assert!(places.0.lock().is_empty());
    }
}
