//! Live reload of the configuration, without dropping a connection.
//!
//! A request that is in progress keeps the access rules and limits under which it was admitted.

use std::sync::Arc;

use super::running::App;
use super::warnings::log_warnings;
use crate::admin::counted;
use crate::config::{Problems, Reloaded, Settings};

/// Longest text of a refused reload, in characters.
const REFUSAL_CHARS_MAX: usize = 300;

impl App {
    /// Applies the keys of `new` that can change while the gateway runs. Logs which keys changed.
    /// Returns those that need a restart.
    ///
    /// # Errors
    ///
    /// Returns the problems if `new` does not fit this running gateway. Then nothing is changed.
    pub fn reload(&mut self, new: Settings) -> Result<Vec<String>, Problems> {
        let Reloaded { settings, changed, needs_restart } = self.settings.reloaded(new)?;
        let parts = &self.parts;
        let gateway = &parts.gateway;
        let labels = parts.metrics.label_callers(settings.caller_names());
        gateway.rules.rcu(|rules| rules.renewed(settings.access.clone(), labels.clone()));
        // After the swap of the rules: until then, cells are counted against the old quotas.
        gateway.rules.load().limits.clamp();
        self.provider_keys.follow(gateway.provider_keys(), &gateway.clock);
        gateway.cache.set_freshness(settings.cache.freshness);
        if self.settings.public.tls.is_some() && settings.public.tls.is_none() {
            tracing::warn!(
                "server.tls is gone: new connections to the public listener are plain HTTP"
            );
        }
        parts.tls.store(settings.public.tls.clone());
        parts.admin.config.store(Arc::new(settings.effective.clone()));
        parts.admin.reload_refused.store(None);
        log_warnings(&settings);
        let list =
            |keys: &[String]| if keys.is_empty() { "nothing".into() } else { keys.join(", ") };
        let changed = list(&changed);
        if needs_restart.is_empty() {
            tracing::info!("configuration reloaded: changed {changed}");
        } else {
            let waiting = list(&needs_restart);
            tracing::warn!(
                keys = waiting,
                "configuration reloaded: changed {changed}; needs restart: {waiting}"
            );
        }
        // Last, because the new filter can hide the lines above.
        if let Some(log) = &parts.admin.log {
            log.set_filter(&settings.telemetry.log);
        }
        self.settings = settings;
        Ok(needs_restart)
    }

    /// Records that a reload was refused, until the next one is applied.
    pub fn note_refused_reload(&self, problems: &Problems) {
        let first = problems.0.first().map(ToString::to_string).unwrap_or_default();
        let mut text: String = first.chars().take(REFUSAL_CHARS_MAX).collect();
        let more = problems.0.len().saturating_sub(1);
        if more > 0 {
            let more = u64::try_from(more).unwrap_or(u64::MAX);
            text = format!("{text} (and {})", counted(more, "more problem", "more problems"));
        }
        self.parts.admin.reload_refused.store(Some(Arc::new(text)));
    }
}
