//! Receiver of ImageKit's webhooks: verifies a delivery and invalidates the lists that it names.

use std::collections::{HashSet, VecDeque};
use std::time::{Duration, SystemTime};

use ahash::RandomState;
use http::HeaderMap;
use parking_lot::Mutex;

use super::invalidator::Invalidator;
use super::purge::{InvalidationSource, Purge};
use super::purge_bus::PartialPurge;
use super::signature::{SignatureFault, SigningSecret};
use super::webhook_event::{InvalidEvent, WebhookEvent};
use crate::cache::{PurgeMode, Target};
use crate::clock::Clock;
use crate::error_chain::chain;

/// Number of applied events that are remembered. ImageKit delivers each event at least once. A
/// repeat after more events than this is applied again, which costs one upstream call.
const APPLIED_EVENTS_MAX: usize = 4096;

/// Settings for the verification of deliveries.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct WebhookSettings {
    pub secret: SigningSecret,
    /// Largest difference between a signature's time and the gateway's clock, in either direction.
    pub tolerance: Duration,
}

/// Outcome of a delivery, as metrics and logs name it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[repr(u8)]
pub enum WebhookOutcome {
    /// Lists were invalidated.
    Applied,
    /// Not read: too many deliveries at once, or too many from one address.
    Busy,
    /// The event had been applied before.
    Duplicate,
    /// The event concerns no list.
    Ignored,
    IncorrectSignature,
    /// The signature is valid, but the body is not a known event.
    InvalidEvent,
    MalformedSignature,
    MissingSignature,
    OutOfTolerance,
    /// Lists were invalidated on this gateway, but the purge is not published to the fleet yet.
    /// ImageKit has to send the delivery again.
    Partial,
    /// The body was too long or did not come in time.
    Unread,
}

impl WebhookOutcome {
    pub const ALL: [Self; 11] = [
        Self::Applied,
        Self::Busy,
        Self::Duplicate,
        Self::Ignored,
        Self::IncorrectSignature,
        Self::InvalidEvent,
        Self::MalformedSignature,
        Self::MissingSignature,
        Self::OutOfTolerance,
        Self::Partial,
        Self::Unread,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Busy => "busy",
            Self::Duplicate => "duplicate",
            Self::Ignored => "ignored",
            Self::IncorrectSignature => "incorrect_signature",
            Self::InvalidEvent => "invalid_event",
            Self::MalformedSignature => "malformed_signature",
            Self::MissingSignature => "missing_signature",
            Self::OutOfTolerance => "out_of_tolerance",
            Self::Partial => "partial",
            Self::Unread => "unread",
        }
    }

    /// Returns whether the signature was valid.
    pub fn is_genuine(self) -> bool {
        matches!(
            self,
            Self::Applied | Self::Duplicate | Self::Ignored | Self::InvalidEvent | Self::Partial
        )
    }

    /// Counts one delivery.
    pub fn emit(self, now: SystemTime) {
        let since_epoch = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        tracing::info!(
            target: "ikgate.webhook",
            outcome = self as u64,
            unix_seconds = since_epoch.as_secs(),
        );
    }
}

impl From<SignatureFault> for WebhookOutcome {
    fn from(fault: SignatureFault) -> Self {
        match fault {
            SignatureFault::Incorrect => Self::IncorrectSignature,
            SignatureFault::Malformed => Self::MalformedSignature,
            SignatureFault::Missing => Self::MissingSignature,
            SignatureFault::OutOfTolerance => Self::OutOfTolerance,
        }
    }
}

/// Reason why a delivery was refused, or must be sent again.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum WebhookFault {
    #[error(transparent)]
    Partial(#[from] PartialPurge),
    #[error(transparent)]
    Signature(#[from] SignatureFault),
}

/// Receiver of webhook deliveries.
pub struct Webhooks {
    settings: WebhookSettings,
    applied: Mutex<AppliedEvents>,
    hasher: RandomState,
    invalidator: Invalidator,
    clock: Clock,
}

impl Webhooks {
    pub fn new(settings: WebhookSettings, invalidator: Invalidator, clock: Clock) -> Self {
        Self { settings, applied: Mutex::default(), hasher: RandomState::new(), invalidator, clock }
    }

    /// Verifies and applies one delivery. When it returns, the lists are invalidated.
    ///
    /// # Errors
    ///
    /// [`WebhookFault::Signature`] if the signature is not valid; [`WebhookFault::Partial`] if
    /// ImageKit must send the delivery again.
    pub async fn receive(&self, fields: &HeaderMap, body: &[u8]) -> Result<(), WebhookFault> {
        let now = self.clock.wall();
        let WebhookSettings { secret, tolerance } = &self.settings;
        secret
            .verify(fields, body, now, *tolerance)
            .inspect_err(|fault| WebhookOutcome::from(*fault).emit(now))?;
        let outcome = match WebhookEvent::parse(body) {
            Ok(event) => self.apply(event, body).await,
            Err(error) => {
                log_invalid(&error);
                WebhookOutcome::InvalidEvent
            }
        };
        outcome.emit(now);
        if outcome == WebhookOutcome::Partial { Err(PartialPurge.into()) } else { Ok(()) }
    }

    async fn apply(&self, event: WebhookEvent, body: &[u8]) -> WebhookOutcome {
        let WebhookEvent::Changed { id, files } = event else { return WebhookOutcome::Ignored };
        // The whole body is hashed. If an id is not as unique as promised, no invalidation is lost.
        let event = id.map(|_| self.hasher.hash_one(body));
        if event.is_some_and(|event| self.applied.lock().contains(event)) {
            return WebhookOutcome::Duplicate;
        }
        let (mode, source) = (PurgeMode::Hard, InvalidationSource::Webhook);
        let mut published = Ok(());
        for file in files {
            let purge = Purge { target: Target::File(file), mode, source };
            published = self.invalidator.invalidate(purge).await.and(published);
        }
        if published.is_err() {
            return WebhookOutcome::Partial;
        }
        // Recorded after the invalidation: a repeat that is answered at once must be as final.
        if let Some(event) = event {
            self.applied.lock().insert(event);
        }
        WebhookOutcome::Applied
    }
}

/// Logs a body that cannot be parsed. ImageKit need not send it again: it would be the same.
fn log_invalid(error: &InvalidEvent) {
    tracing::warn!(
        error = chain(error),
        "webhook ignored: its signature is valid, but its event cannot be understood"
    );
}

/// Recently applied events, as keyed hashes of their bodies.
#[derive(Default)]
struct AppliedEvents {
    events: HashSet<u64, RandomState>,
    order: VecDeque<u64>,
}

impl AppliedEvents {
    fn contains(&self, event: u64) -> bool {
        self.events.contains(&event)
    }

    fn insert(&mut self, event: u64) {
        if !self.events.insert(event) {
            return;
        }
        self.order.push_back(event);
        if self.order.len() > APPLIED_EVENTS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.events.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_applied_events_are_remembered() {
        let mut applied = AppliedEvents::default();
        for event in 0..10_000 {
            applied.insert(event);
            applied.insert(event);
        }
        assert_eq!((applied.events.len(), applied.order.len()), (4096, 4096));
        assert!(applied.contains(9_999) && applied.contains(10_000 - 4096));
        assert!(!applied.contains(9_999 - 4096));
    }
}
