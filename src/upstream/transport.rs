//! Interface of one exchange with the upstream: its request and its result.

use std::time::Duration;

use tokio::time::Instant;

use super::error::UpstreamError;
use super::priority::Priority;
use super::response::UpstreamResponse;
use super::window::Window;
use crate::file_id::FileId;
use crate::message::TraceContext;
use crate::secret::Secret;

/// Version list to fetch, with the priority, trace and start time of its fill.
#[derive(Clone, Copy, Debug)]
pub struct FetchRequest {
    pub file: FileId,
    pub priority: Priority,
    /// Trace context of the request that began the fill, if it had one.
    pub trace: Option<TraceContext>,
    /// Time at which the fill began. Its deadline counts from here.
    pub began: Instant,
}

/// Interface of one exchange with the upstream: over HTTP, or a simulation of it in tests.
pub(super) trait Transport {
    /// Requests the version list once.
    fn exchange(
        &self,
        request: &FetchRequest,
        key: &Secret,
        now: Duration,
    ) -> impl Future<Output = CallResult> + Send;
}

/// Result of one exchange, and the limits that the upstream stated in it.
pub(super) struct CallResult {
    pub(super) response: Result<UpstreamResponse, UpstreamError>,
    pub(super) window: Option<Window>,
    /// Wait that the upstream requested.
    pub(super) pause: Option<Duration>,
}
