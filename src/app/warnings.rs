//! Warnings about the configuration, as lines of the log.

use crate::config::Settings;

/// Logs each warning about the configuration.
pub(super) fn log_warnings(settings: &Settings) {
    for warning in &settings.warnings {
        tracing::warn!("configuration: {warning}");
    }
}
