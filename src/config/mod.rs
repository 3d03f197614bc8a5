//! Configuration in two steps: what was written, then settings that cannot be wrong.
//!
//! `raw` is the text as a table, with the environment's overrides laid over it. `check` turns
//! it into the settings types that the rooms declare, and collects every problem with its path
//! instead of stopping at the first. Nothing but the program's entry imports this room.

mod check;
mod effective;
mod keys;
mod live;
mod problem;
mod raw;
mod value;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub use check::caller_name;
pub use keys::keys;
pub use live::is_live;
pub use problem::{Problem, Problems};

use crate::admin::AdminSettings;
use crate::cache::CacheSettings;
use crate::caller::{Proxies, TokenSettings};
use crate::cluster::ClusterSettings;
use crate::gateway::PolicySettings;
use crate::invalidation::WebhookSettings;
use crate::route::BasePath;
use crate::secret::PrivateKey;
use crate::server::{Listen, ServerSettings, Tls};
use crate::telemetry::TelemetrySettings;
use crate::upstream::UpstreamSettings;

/// The environment variable that may hold ImageKit's private key instead of a file.
pub const PRIVATE_KEY_VARIABLE: &str = "IMAGEKIT_PRIVATE_KEY";

/// Everything the gateway runs on, checked.
#[derive(Clone, Debug)]
pub struct Settings {
    pub public: PublicSettings,
    pub admin: AdminListenerSettings,
    pub upstream: UpstreamSettings,
    pub key: Arc<PrivateKey>,
    pub cache: CacheSettings,
    pub policy: PolicySettings,
    /// Whether somebody chose what callers without a credential may do.
    pub anonymous_is_written: bool,
    /// `None`: events are not taken.
    pub webhooks: Option<WebhookSettings>,
    /// `None`: this gateway is alone.
    pub cluster: Option<ClusterSettings>,
    pub telemetry: TelemetrySettings,
    /// All of it as it would stand in a file, without secrets.
    pub effective: toml::Table,
}

impl Settings {
    /// Of the configured callers, in their order.
    pub fn caller_names(&self) -> impl Iterator<Item = &str> {
        self.policy.callers.iter().map(|caller| caller.name.as_str())
    }
}

/// The listeners that callers use, and how they end.
#[derive(Clone, Debug)]
pub struct PublicSettings {
    /// At least one.
    pub listen: Vec<Listen>,
    pub base_path: BasePath,
    pub server: ServerSettings,
    /// `None`: connections are plain.
    pub tls: Option<Arc<Tls>>,
    pub proxies: Proxies,
    /// Between "not ready" and closing the listeners.
    pub shutdown_delay: Duration,
    pub shutdown_grace: Duration,
}

impl PublicSettings {
    /// Whether only this machine can reach them.
    pub fn is_on_loopback(&self) -> bool {
        self.listen.iter().all(Listen::is_loopback)
    }
}

/// The listener that operators use.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AdminListenerSettings {
    pub listen: Listen,
    pub guard: AdminSettings,
}

/// Reads and checks a file. Relative paths in it start at its own directory.
///
/// # Errors
///
/// Every problem that was found.
pub fn load(
    path: &Path,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Settings, Problems> {
    let (text, directory) = read(path)?;
    from_text(&text, directory, environment)
}

/// Reads and checks the section on tokens alone: who signs them needs to know nothing else.
///
/// # Errors
///
/// Every problem that was found in it.
pub fn tokens(
    path: &Path,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<TokenSettings, Problems> {
    let (text, directory) = read(path)?;
    let raw = raw::Raw::new(&text, environment)?;
    check::tokens(raw, directory)
}

fn read(path: &Path) -> Result<(String, &Path), Problems> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Problems::one("", format!("cannot read {}: {error}", path.display())))?;
    Ok((text, path.parent().unwrap_or(Path::new(""))))
}

/// Checks a configuration that is already here.
///
/// # Errors
///
/// Every problem that was found.
pub fn from_text(
    text: &str,
    directory: &Path,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Settings, Problems> {
    let raw = raw::Raw::new(text, environment)?;
    check::check(raw, directory)
}
