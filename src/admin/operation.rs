//! Operations of the admin listener by path, and the access and methods of each.

use http::Method;

use super::dashboard::Asset;
use super::guard::Access;

/// Operation that a path names.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Operation<'a> {
    Asset(Asset),
    /// The whole cache.
    Cache,
    /// Cache entry of one file, by its id.
    CacheEntry(&'a str),
    Config,
    Live,
    Metrics,
    OpenApi,
    Ready,
    Runbook,
    Stats,
}

/// Help text of the error for a path that names no operation.
pub(super) const PATHS: &str = "It serves /, /livez, /readyz, /metrics, /api/cache, /api/cache/{fileId}, /api/config, \
     /api/stats, /runbook and /openapi.json.";

impl<'a> Operation<'a> {
    /// Returns the operation at `path`, if the listener serves that path.
    pub(super) fn at(path: &'a str) -> Option<Self> {
        match path {
            "/livez" => Some(Self::Live),
            "/readyz" => Some(Self::Ready),
            "/metrics" => Some(Self::Metrics),
            "/api/cache" => Some(Self::Cache),
            "/api/config" => Some(Self::Config),
            "/api/stats" => Some(Self::Stats),
            "/openapi.json" => Some(Self::OpenApi),
            "/runbook" => Some(Self::Runbook),
            _ => match path.strip_prefix("/api/cache/") {
                Some(id) => Some(Self::CacheEntry(id)),
                None => Asset::at(path).map(Self::Asset),
            },
        }
    }

    /// Returns the access that a request needs. A path that names no operation needs the same access
    /// as one that does.
    pub(super) fn access(operation: Option<Self>, method: &Method) -> Access {
        match operation {
            Some(Self::Live | Self::Ready) => Access::Health,
            Some(Self::Metrics) => Access::Metrics,
            _ if matches!(*method, Method::GET | Method::HEAD) => Access::Read,
            _ => Access::Mutate,
        }
    }

    /// Returns the methods of the operation, as the Allow field lists them.
    pub(super) fn methods(self) -> &'static str {
        match self {
            Self::Cache => "DELETE",
            Self::CacheEntry(_) => "GET, HEAD, DELETE",
            Self::Asset(_)
            | Self::Config
            | Self::Live
            | Self::Metrics
            | Self::OpenApi
            | Self::Ready
            | Self::Runbook
            | Self::Stats => "GET, HEAD",
        }
    }
}
