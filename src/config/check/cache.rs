//! Check of `[cache]`: size, freshness and `Cache-Control` of stored lists.

use std::time::Duration;

use super::super::given::Given;
use super::super::section::Section;
use super::units::{GIB, MIB};
use crate::cache::{CacheSettings, FreshnessSettings};

/// Settings of stored lists.
pub(super) struct ListSettings {
    pub(super) cache: CacheSettings,
    pub(super) browser_max_age: Duration,
    pub(super) expose_private: bool,
}

/// Margin above `request_timeout`, which limits a whole fill, the wait for another gateway
/// included.
const JOIN_MARGIN: Duration = Duration::from_secs(2);

/// Reads the section. `request_timeout`: time limit of a whole fill.
pub(super) fn cache(cache: &mut Section, request_timeout: Duration) -> ListSettings {
    let max_bytes = cache.get("max_bytes", |given| given.size(&(MIB..=1024 * GIB)));
    let ttl = cache.get("ttl", Given::duration);
    let ttl_jitter_percent = cache.get("ttl_jitter_percent", |given| given.integer(&(0..=100_u8)));
    let stale_while_revalidate = cache.get("stale_while_revalidate", Given::duration);
    let stale_if_error = cache.get("stale_if_error", Given::duration);
    let not_found_ttl = cache.get("not_found_ttl", Given::duration);
    let settle = cache.get("settle", Given::duration);
    let browser_max_age = cache.get("browser_max_age", Given::duration);
    let expose_private = cache.get("expose_private", Given::boolean);
    let settings = CacheSettings {
        max_bytes,
        joinable_for: request_timeout + JOIN_MARGIN,
        freshness: FreshnessSettings {
            ttl,
            ttl_jitter_percent,
            stale_while_revalidate,
            stale_if_error,
            not_found_ttl,
            settle,
        },
    };
    ListSettings { cache: settings, browser_max_age, expose_private }
}
