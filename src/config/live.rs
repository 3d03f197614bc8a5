//! Reload of a configuration: keys that apply while the gateway runs, and keys that need a restart.

use std::collections::BTreeSet;

use toml::{Table, Value};

use super::lookup;
use super::problem::Problems;
use super::settings::{PublicSettings, Settings};
use super::spec::Change;
use crate::cache::CacheSettings;
use crate::gateway::AccessSettings;
use crate::limit::LimitSettings;
use crate::telemetry::TelemetrySettings;

impl Settings {
    /// Returns the settings in force after a reload with `new`, and the changed keys that need a
    /// restart.
    ///
    /// # Errors
    ///
    /// [`Problems`] if `new` is valid only with its own listeners, and not with those that are
    /// open.
    pub fn reloaded(&self, new: Self) -> Result<(Self, Vec<String>), Problems> {
        if !self.public.is_on_loopback() && !new.anonymous_is_written {
            let message = "must be set: until the restart, server.listen is not only loopback";
            return Err(Problems::one("limits.anonymous", message.to_owned()));
        }
        let mut waiting = BTreeSet::new();
        // A file of the same name may hold another secret.
        let secret = |settings: &Self| settings.webhooks.as_ref().map(|own| own.secret.clone());
        if let (Some(old), Some(new)) = (secret(self), secret(&new))
            && old != new
        {
            waiting.insert("webhooks.secret_file".to_owned());
        }
        if self.admin.guard.exposure.token() != new.admin.guard.exposure.token() {
            waiting.insert("admin.token_file".to_owned());
        }
        if let (Some(old), Some(new)) = (&self.cluster, &new.cluster)
            && old.url != new.url
        {
            waiting.insert("cluster.redis_url".to_owned());
        }
        let mut effective = new.effective;
        keep_fixed(&mut effective, &self.effective, "", &mut waiting);
        let max_tracked_callers = self.access.limits.max_tracked_callers;
        let in_force = Self {
            public: PublicSettings { tls: new.public.tls, ..self.public.clone() },
            cache: CacheSettings { freshness: new.cache.freshness, ..self.cache },
            access: AccessSettings {
                limits: LimitSettings { max_tracked_callers, ..new.access.limits },
                ..new.access
            },
            telemetry: TelemetrySettings { log: new.telemetry.log, ..self.telemetry.clone() },
            effective,
            ..self.clone()
        };
        Ok((in_force, waiting.into_iter().collect()))
    }
}

/// Restores the old value of every key that is not live, and notes each that changed.
fn keep_fixed(new: &mut Table, old: &Table, section: &str, waiting: &mut BTreeSet<String>) {
    let keys: BTreeSet<String> = new.keys().chain(old.keys()).cloned().collect();
    for key in keys {
        let path = if section.is_empty() { key.clone() } else { format!("{section}.{key}") };
        match (new.get_mut(&key), old.get(&key)) {
            (Some(Value::Table(new)), Some(Value::Table(old))) => {
                keep_fixed(new, old, &path, waiting);
            }
            _ if is_live(&path) => {}
            (new_value, old_value) => {
                if new_value.as_deref() != old_value {
                    waiting.insert(path);
                }
                match old_value {
                    Some(value) => _ = new.insert(key, value.clone()),
                    None => _ = new.remove(&key),
                }
            }
        }
    }
}

/// Returns whether a change at this path applies without a restart: of a key, of a member of its
/// inline table, or of a whole section.
fn is_live(path: &str) -> bool {
    match lookup::section(path) {
        Some(section) => section.keys.iter().all(|key| key.change == Change::Live),
        None => lookup::key(path).is_some_and(|key| key.change == Change::Live),
    }
}
