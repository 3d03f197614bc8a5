//! Another configuration for a gateway that runs: no connection is dropped, and whoever waits is
//! answered by the rules that its request came under.

use std::sync::Arc;

use super::App;
use crate::config::Settings;

impl App {
    /// Puts the part of `new` in force that can change while the gateway runs.
    ///
    /// Returns the keys in which `new` waits for a restart.
    pub fn reload(&mut self, new: Settings) -> Vec<String> {
        let (settings, waiting) = self.settings.reloaded(new);
        let parts = &self.parts;
        let gateway = &parts.gateway;
        let labels = parts.metrics.label_callers(settings.caller_names());
        let policy = gateway.policy.load().renewed(settings.policy.clone(), labels, &parts.clock);
        gateway.policy.store(Arc::new(policy));
        // Not before: until then cells are counted against the old quotas.
        gateway.policy.load().limits.clamp();
        gateway.cache.set_freshness(settings.cache.freshness);
        if let Some(log) = &parts.admin.log {
            log.set_filter(&settings.telemetry.log);
        }
        parts.admin.config.store(Arc::new(settings.effective.clone()));
        self.settings = settings;
        waiting
    }
}
