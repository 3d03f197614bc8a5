//! Another configuration for a gateway that runs: no connection is dropped, and whoever waits is
//! answered by the rules that its request came under.

use std::sync::Arc;

use super::App;
use crate::config::{Problems, Settings};

impl App {
    /// Puts the part of `new` in force that can change while the gateway runs, and says which
    /// keys wait for a restart.
    ///
    /// # Errors
    ///
    /// What is wrong with `new` for a gateway that runs as this one does. Nothing has changed.
    pub fn reload(&mut self, new: Settings) -> Result<Vec<String>, Problems> {
        let (settings, waiting) = self.settings.reloaded(new)?;
        let parts = &self.parts;
        let gateway = &parts.gateway;
        let labels = parts.metrics.label_callers(settings.caller_names());
        gateway.policy.rcu(|policy| policy.renewed(settings.policy.clone(), labels.clone()));
        // Not before: until then cells are counted against the old quotas.
        gateway.policy.load().limits.clamp();
        gateway.cache.set_freshness(settings.cache.freshness);
        parts.tls.store(settings.public.tls.clone());
        parts.admin.config.store(Arc::new(settings.effective.clone()));
        tracing::info!("the configuration has been reloaded");
        if !waiting.is_empty() {
            // Whoever logs only errors asked for these, too, and did not get them.
            tracing::error!(keys = waiting.join(", "), "these keys change with a restart only");
        }
        // After what has to be said: it may silence it.
        if let Some(log) = &parts.admin.log {
            log.set_filter(&settings.telemetry.log);
        }
        self.settings = settings;
        Ok(waiting)
    }
}
