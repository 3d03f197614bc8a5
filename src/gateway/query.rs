//! Read of a version list, or of one version, that needs more than its head.

use tokio::time::Instant;

use crate::cache::FwdReason;
use crate::file_id::FileId;
use crate::message::TraceContext;
use crate::route::Selector;
use crate::upstream::{FetchRequest, Priority};

/// Request for a version list, or for one version, by a caller that may read the file.
pub(super) struct VersionQuery {
    pub(super) file: FileId,
    pub(super) selector: Selector,
    pub(super) visibility: Visibility,
    pub(super) priority: Priority,
    pub(super) trace: Option<TraceContext>,
}

/// Which lists a caller may see.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) enum Visibility {
    All,
    /// Lists of public files only. A private file looks as if it did not exist.
    Public,
}

/// Request that needs a fill, and the reason.
pub(super) struct CacheMiss {
    pub(super) query: VersionQuery,
    pub(super) reason: FwdReason,
}

impl VersionQuery {
    /// Returns what a fill for this query requests from the upstream.
    pub(super) fn fetch_request(&self) -> FetchRequest {
        let began = Instant::now();
        FetchRequest { file: self.file, priority: self.priority, trace: self.trace, began }
    }
}
