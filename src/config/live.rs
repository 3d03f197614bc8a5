//! Reload of a configuration: keys that apply while the gateway runs, and keys that need a restart.

use std::collections::BTreeSet;

use toml::{Table, Value};

use super::lookup;
use super::problem::Problems;
use super::settings::{PublicSettings, Settings};
use super::spec::Change;
use crate::cache::CacheSettings;
use crate::caller::TokenKeys;
use crate::gateway::AccessSettings;
use crate::limit::LimitSettings;
use crate::telemetry::TelemetrySettings;

/// Result of a reload.
#[derive(Debug)]
pub struct Reloaded {
    /// Settings in force from now on.
    pub settings: Settings,
    /// Changed keys that apply at once, as paths.
    pub changed: Vec<String>,
    /// Changed keys whose old value stays in force until a restart, as paths.
    pub needs_restart: Vec<String>,
}

/// Changed keys, sorted by when they apply.
#[derive(Default)]
struct Changes {
    live: BTreeSet<String>,
    waiting: BTreeSet<String>,
}

impl Settings {
    /// Returns the settings in force after a reload with `new`.
    ///
    /// # Errors
    ///
    /// [`Problems`] if `new` is valid only with its own listeners, and not with those that are
    /// open; or if its file has become empty, as on a full disk.
    pub fn reloaded(&self, new: Self) -> Result<Reloaded, Problems> {
        if new.file_is_empty && !self.file_is_empty {
            let message = "the file sets nothing any more: to run without it, restart";
            return Err(Problems::one("", message));
        }
        if !self.public.is_on_loopback() && !new.anonymous_is_written {
            let message = "must be set: until the restart, server.listen is not only loopback";
            return Err(Problems::one("limits.anonymous", message));
        }
        let mut changes = Changes::default();
        self.note_changed_files(&new, &mut changes);
        let mut effective = new.effective;
        keep_fixed(&mut effective, &self.effective, "", &mut changes);
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
            warnings: new.warnings,
            file_is_empty: new.file_is_empty,
            ..self.clone()
        };
        Ok(Reloaded {
            settings: in_force,
            changed: changes.live.into_iter().collect(),
            needs_restart: changes.waiting.into_iter().collect(),
        })
    }
}

impl Settings {
    /// Notes the keys whose files have other content, though the keys are the same.
    fn note_changed_files(&self, new: &Self, changes: &mut Changes) {
        let note = |changes: &mut BTreeSet<String>, key: &str, is_changed: bool| {
            if is_changed {
                changes.insert(key.to_owned());
            }
        };
        let keys = |settings: &Self| Some(settings.access.tokens.as_ref()?.keys.clone());
        match (keys(self), keys(new)) {
            (Some(old @ TokenKeys::One(_)), Some(new @ TokenKeys::One(_))) => {
                note(&mut changes.live, "jwt.key_file", old != new);
            }
            (Some(old @ TokenKeys::ByKid(_)), Some(new @ TokenKeys::ByKid(_))) => {
                note(&mut changes.live, "jwt.key_files", old != new);
            }
            _ => {}
        }
        if let (Some(old), Some(new)) = (&self.public.tls, &new.public.tls) {
            note(&mut changes.live, "server.tls.certificate", !old.is_same_pair(new));
        }
        let waiting = &mut changes.waiting;
        let roots = (&self.upstream.extra_roots, &new.upstream.extra_roots);
        note(waiting, "upstream.ca_file", roots.0 != roots.1);
        if let (Some(old), Some(new)) = (&self.webhooks, &new.webhooks) {
            note(waiting, "webhooks.secret_file", old.secret != new.secret);
        }
        let token = |settings: &Self| settings.admin.guard.exposure.token().cloned();
        note(waiting, "admin.token_file", token(self) != token(new));
        // The URL may hold a password, which the settings that are compared leave out.
        if let (Some(old), Some(new)) = (&self.cluster, &new.cluster) {
            note(waiting, "cluster.redis_url", old.url != new.url);
        }
    }
}

/// Restores the old value of every key that is not live, and notes each key that changed.
fn keep_fixed(new: &mut Table, old: &Table, section: &str, changes: &mut Changes) {
    let keys: BTreeSet<String> = new.keys().chain(old.keys()).cloned().collect();
    for key in keys {
        let path = if section.is_empty() { key.clone() } else { format!("{section}.{key}") };
        match (new.get_mut(&key), old.get(&key)) {
            (Some(Value::Table(new)), Some(Value::Table(old))) => {
                keep_fixed(new, old, &path, changes);
            }
            (new_value, old_value) if is_live(&path) => {
                if new_value.as_deref() != old_value {
                    changes.live.insert(path);
                }
            }
            (new_value, old_value) => {
                if new_value.as_deref() != old_value {
                    changes.waiting.insert(path);
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
