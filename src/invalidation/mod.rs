//! Invalidation of stored version lists, requested by operators, ImageKit's webhooks, or the fleet.
//!
//! The cache defines what an invalidation promises ([`crate::cache`]), and [`PurgeBus`] what a
//! fleet promises. This module counts each invalidation and logs it.
//!
//! - `purge`: a purge and its source; `purge_bus`: channel to the other gateways of a fleet.
//! - `invalidator`: applies purges to this gateway's cache, and publishes them.
//! - `webhook`: receiver of ImageKit's webhook deliveries; [`signature`]: their signatures;
//!   `webhook_event`: their events.

mod invalidator;
mod purge;
mod purge_bus;
pub mod signature;
mod webhook;
mod webhook_event;

pub use invalidator::{Invalidator, LocalInvalidator};
pub use purge::{InvalidationSource, Purge};
pub use purge_bus::{PartialPurge, Published, PurgeBus};
pub use signature::{SignatureFault, SigningSecret};
pub use webhook::{WebhookFault, WebhookOutcome, WebhookSettings, Webhooks};
pub use webhook_event::{InvalidEvent, WebhookEvent};
