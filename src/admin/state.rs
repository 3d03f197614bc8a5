//! Parts of the gateway that the admin listener shows or changes.

use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};

use super::guard::AdminSettings;
use super::ready::Readiness;
use crate::cache::Cache;
use crate::clock::Clock;
use crate::gateway::Gateway;
use crate::secret::PrivateKey;
use crate::server::{Drain, TlsSlot};
use crate::telemetry::{GaugeLimits, Log, Metrics};
use crate::upstream::UpstreamError;

/// Service behind the admin listener, with access to the parts that it shows or changes.
pub struct Admin {
    pub settings: AdminSettings,
    pub gateway: Arc<Gateway>,
    pub metrics: Arc<Metrics>,
    pub log: Option<Arc<Log>>,
    pub key: Arc<PrivateKey>,
    pub readiness: Readiness,
    /// TLS settings of the public listener.
    pub tls: TlsSlot,
    /// Connections of the public listener, and whether they drain.
    pub drain: Drain,
    /// Upper limits of the counted resources.
    pub limits: GaugeLimits,
    /// Configuration in force, in the form of a configuration file, without secrets.
    pub config: ArcSwap<toml::Table>,
    /// Reason why the last reload was refused. Empty: it was applied, or there was none.
    pub reload_refused: ArcSwapOption<String>,
}

impl Admin {
    pub(super) fn cache(&self) -> &Cache<Arc<UpstreamError>> {
        &self.gateway.cache
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.gateway.clock
    }
}
