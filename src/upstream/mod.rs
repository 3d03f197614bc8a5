//! The way to ImageKit: one client, one key, one budget, and what its answers mean.
//!
//! Knows nothing of caching. A call either gives an [`Answer`] that has been read and judged
//! whole, or an [`UpstreamError`] that says who has to act.
//!
//! - `dispatch`: may a call leave, and is a failed one worth another try?
//! - `budget`, `turns`: what the account may spend, and the calls that wait for it; `window`,
//!   `pause`, `rate_fields`: what the upstream says of its own limits; `shared_budget`: where other
//!   gateways spend of it too.
//! - `breaker`, `retry`, `key_gate`: the other reasons to call, or not to.
//! - `transport`: one exchange; `body`, `answer`, `error`: what came of it.

mod answer;
mod body;
mod breaker;
mod budget;
mod dispatch;
mod error;
mod key_gate;
mod latency;
mod pause;
mod rate_fields;
mod retry;
mod shared_budget;
#[cfg(test)]
mod simulation;
mod transport;
mod turns;
mod url;
mod window;

use std::time::Duration;

pub use answer::{Answer, AnswerKind, Storable};
pub use body::Held;
pub use breaker::{Breaker, BreakerSettings, BreakerState, Change};
pub use budget::Priority;
pub use dispatch::{Order, Upstream};
pub use error::{BadAnswer, Refusal, UpstreamError, UpstreamOutcome};
pub use rate_fields::RateFields;
pub use retry::RetrySettings;
pub use transport::UpstreamStartError;
pub use url::{InvalidUpstreamUrl, UpstreamUrl};

use rustls::pki_types::CertificateDer;

use crate::limit::Quota;

/// Target of the events that say that something is another way than before.
const STATE_CHANGE: &str = "ikgate.state_change";

/// Where the upstream is and what a call to it may take.
#[derive(Clone, Debug)]
pub struct UpstreamSettings {
    pub url: UpstreamUrl,
    /// Trusted besides the platform's.
    pub extra_roots: Vec<CertificateDer<'static>>,
    pub connect_timeout: Duration,
    /// For a whole fill, waiting for its turn and retries included.
    pub request_timeout: Duration,
    /// Calls in flight at once.
    pub max_concurrency: usize,
    /// Longest body, in bytes, decoded.
    pub max_response_bytes: usize,
    /// Bytes of all bodies that are being read and stored. Not less than the longest body.
    pub max_inflight_bytes: usize,
    /// What the account may spend, as far as the upstream does not say less.
    pub budget: Quota,
    pub retries: RetrySettings,
    pub breaker: BreakerSettings,
}
