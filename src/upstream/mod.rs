//! HTTP client for ImageKit's version lists, with admission control in front of it.
//!
//! One client, one private key, one call budget. The module does not cache. A call returns an
//! [`Answer`] that was read and checked as a whole, or an [`UpstreamError`] that says which side
//! has to act.
//!
//! - `dispatch`: admits a call, sends it, decides about retries.
//! - `turns`: priority queue of calls that wait for a permit and a cell of the budget.
//! - `budget`: call budget of the account (GCRA); `shared_budget`: the same budget in a fleet.
//! - `window`, `pause`, `rate_fields`: the upstream's own rate limit, as its responses state it.
//! - `key_gate`: circuit breaker for a refused private key; for failures it is [`crate::breaker`].
//! - `retry`: retry budget and backoff; `latency`: recent latency of the upstream.
//! - `transport`: one HTTP exchange; `body`, `answer`, `error`: its result.
//! - `url`: address of the upstream, checked when it is configured.

mod answer;
mod body;
mod budget;
mod dispatch;
mod error;
mod key_gate;
mod latency;
mod pause;
mod rate_fields;
mod retry;
mod shared_budget;
mod transport;
mod turns;
mod url;
mod window;

use std::time::Duration;

pub use crate::breaker::{BreakerSettings, BreakerState};
pub use answer::{Answer, AnswerKind, Storable};
pub use body::Held;
pub use budget::Priority;
pub use dispatch::{Order, Upstream};
pub use error::{BadAnswer, Refusal, UpstreamError, UpstreamOutcome};
pub use rate_fields::RateFields;
pub use retry::RetrySettings;
pub use transport::UpstreamStartError;
pub use url::{InvalidUpstreamUrl, UpstreamUrl};

use rustls::pki_types::CertificateDer;

use crate::limit::Quota;

/// Tracing target of events that report a change of state.
const STATE_CHANGE: &str = "ikgate.state_change";

/// Address of the upstream, and limits for calls to it.
#[derive(Clone, Debug)]
pub struct UpstreamSettings {
    pub url: UpstreamUrl,
    /// Root certificates that are trusted in addition to the platform's.
    pub extra_roots: Vec<CertificateDer<'static>>,
    /// Longest time to open a TCP connection.
    pub connect_timeout: Duration,
    /// Longest time of a whole fill: the wait in the queue and all retries included.
    pub request_timeout: Duration,
    /// Most calls in flight at the same time.
    pub max_concurrency: usize,
    /// Longest response body, in bytes after decoding.
    pub max_response_bytes: usize,
    /// Most bytes of all bodies that are being read or stored. At least `max_response_bytes`.
    pub max_inflight_bytes: usize,
    /// Configured call budget of the account. A tighter limit that the upstream states also holds.
    pub budget: Quota,
    pub retries: RetrySettings,
    pub breaker: BreakerSettings,
}

#[cfg(test)]
mod tests;
