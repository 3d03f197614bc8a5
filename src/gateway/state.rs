//! State of the gateway that all requests share.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::access_rules::AccessRules;
use super::refused_origins::RefusedOrigins;
use super::webhook::WebhookReceiver;
use crate::cache::Cache;
use crate::caller::{ProviderKeys, Proxies, RevokedTokens};
use crate::clock::Clock;
use crate::cluster::{Cluster, ClusterState};
use crate::invalidation::Invalidator;
use crate::route::Operations;
use crate::upstream::{Upstream, UpstreamError};

/// Gateway: all state that requests pass through, shared by all connections.
pub struct Gateway {
    pub clock: Clock,
    pub operations: Operations,
    /// `None`: webhooks are not accepted.
    pub webhooks: Option<WebhookReceiver>,
    pub proxies: Proxies,
    /// Replaced as a whole by a reload. A request is decided by the rules in force when its head has
    /// been read; a read with a body, when that has been read.
    pub rules: ArcSwap<AccessRules>,
    /// Pages that may not read their responses, for the log.
    pub refused_origins: RefusedOrigins,
    pub cache: Arc<Cache<Arc<UpstreamError>>>,
    pub upstream: Upstream,
    /// `None`: this gateway has no fleet.
    pub cluster: Option<Arc<Cluster>>,
    pub invalidator: Invalidator,
    /// Time limit of a fill. A caller waits for it a little longer, so that the fill reports first.
    pub request_timeout: Duration,
    /// Tasks of fills. A fill outlives the request that started it, but not the process.
    pub fills: TaskTracker,
    /// Cancelled late in a drain: requests that still wait for a fill then get the stale response if
    /// there is one, else 503 `shutting_down`.
    pub closing: CancellationToken,
    /// Permits for compression tasks: half of the processors, at least one.
    pub encoders: Semaphore,
}

impl Gateway {
    /// Returns the keys of the identity provider that the access rules name.
    pub fn provider_keys(&self) -> Option<Arc<ProviderKeys>> {
        self.rules.load().callers.provider_keys()
    }

    /// Returns the revoked tokens of the access rules.
    pub fn revoked_tokens(&self) -> Option<Arc<RevokedTokens>> {
        self.rules.load().callers.revoked_tokens()
    }

    /// Returns whether this gateway may miss purges of the other gateways.
    pub(super) fn is_cut_off(&self) -> bool {
        self.cluster.as_ref().is_some_and(|cluster| cluster.state() == ClusterState::CutOff)
    }
}
