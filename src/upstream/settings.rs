//! Settings of the upstream client, and the tracing target of its changes of state.

use std::time::Duration;

use rustls::pki_types::CertificateDer;

use super::retry::RetrySettings;
use super::url::UpstreamUrl;
use crate::breaker::BreakerSettings;
use crate::limit::Quota;

/// Tracing target of events that report a change of state.
pub(super) const STATE_CHANGE: &str = "ikgate.state_change";

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
    /// Most bytes of all bodies that are being read, stored or compressed. At least
    /// `max_response_bytes`.
    pub max_inflight_bytes: usize,
    /// Configured call budget of the account. A tighter limit that the upstream states also holds.
    pub budget: Quota,
    pub retries: RetrySettings,
    pub breaker: BreakerSettings,
}
