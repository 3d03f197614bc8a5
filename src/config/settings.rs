//! Checked settings of the whole gateway: the settings types of the other modules, together.

use std::sync::Arc;
use std::time::Duration;

use super::problem::Problem;
use crate::admin::AdminSettings;
use crate::cache::CacheSettings;
use crate::caller::Proxies;
use crate::cluster::ClusterSettings;
use crate::gateway::AccessSettings;
use crate::invalidation::WebhookSettings;
use crate::route::BasePath;
use crate::secret::PrivateKey;
use crate::server::{ListenSource, ServerSettings, Tls};
use crate::telemetry::TelemetrySettings;
use crate::upstream::UpstreamSettings;

/// Name of the environment variable that may hold ImageKit's private key instead of a file.
pub const PRIVATE_KEY_VARIABLE: &str = "IMAGEKIT_PRIVATE_KEY";

/// Checked settings of the whole gateway.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Public listeners.
    pub public: PublicSettings,
    /// Admin listener.
    pub admin: AdminListenerSettings,
    /// Connection to ImageKit.
    pub upstream: UpstreamSettings,
    /// ImageKit's private key.
    pub key: Arc<PrivateKey>,
    /// Cache size and freshness.
    pub cache: CacheSettings,
    /// Callers, limits and rules of access.
    pub access: AccessSettings,
    /// Whether the operator configured `limits.anonymous`.
    pub anonymous_is_written: bool,
    /// Whether the file sets nothing.
    pub file_is_empty: bool,
    /// Settings of webhooks; `None`: deliveries are not accepted.
    pub webhooks: Option<WebhookSettings>,
    /// Settings of the fleet; `None`: this gateway is alone.
    pub cluster: Option<ClusterSettings>,
    /// Log, log format and access log.
    pub telemetry: TelemetrySettings,
    /// Effective configuration as it would stand in a file, without secrets.
    pub effective: toml::Table,
    /// Warnings about values that are valid and probably not meant.
    pub warnings: Vec<Problem>,
}

impl Settings {
    /// Returns the names of the configured callers, in their order.
    pub fn caller_names(&self) -> impl Iterator<Item = &str> {
        self.access.callers.iter().map(|caller| caller.name.as_str())
    }
}

/// Settings of the public listeners, and of their shutdown.
#[derive(Clone, Debug)]
pub struct PublicSettings {
    /// Addresses to listen on; at least one.
    pub listen: Vec<ListenSource>,
    /// Path prefix that the gateway is mounted under.
    pub base_path: BasePath,
    /// Whether callers can read about this gateway at `/` and `/openapi.json`.
    pub help: bool,
    pub server: ServerSettings,
    /// Certificate and key; `None`: connections are plain.
    pub tls: Option<Arc<Tls>>,
    /// Trusted proxies in front of the gateway.
    pub proxies: Proxies,
    /// Time between "not ready" and closing the listeners.
    pub shutdown_delay: Duration,
    /// Time that open requests have to end, before their connections are closed.
    pub shutdown_grace: Duration,
}

impl PublicSettings {
    /// Returns whether all listeners are on loopback addresses.
    pub fn is_on_loopback(&self) -> bool {
        self.listen.iter().all(ListenSource::is_loopback)
    }
}

/// Settings of the admin listener.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AdminListenerSettings {
    /// Address to listen on.
    pub listen: ListenSource,
    /// Access rules of the admin API.
    pub guard: AdminSettings,
}
