//! Checks of the configuration: turn a table into valid settings.
//!
//! A value that fails its check is noted and replaced by its default, so that everything else is
//! still checked. The settings are returned only if nothing was noted.

mod admin;
mod cache;
mod callers;
mod cluster;
mod cors;
mod file;
mod jwt;
mod limits;
mod listeners;
mod quota;
mod server;
mod telemetry;
mod units;
mod upstream;
mod webhooks;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub use callers::caller_name;
pub use cors::listed_origin;

use super::effective::effective;
use super::problem::Problems;
use super::raw::Raw;
use super::section::{Noted, Section};
use super::settings::Settings;
use crate::caller::TokenSettings;
use crate::cluster::FillLimits;
use crate::gateway::AccessSettings;

/// Checks a whole configuration. `now`: Unix time, for certificates that expire.
pub(super) fn check(raw: Raw, directory: &Path, now: Duration) -> Result<Settings, Problems> {
    let noted = Noted::new(raw.problems.clone());
    let (effective, file_is_empty) = (effective(&raw), raw.file_is_empty);
    let mut root = Section::root(raw.table, raw.from_environment, &noted);
    let public = server::server(&mut root.section("server"), directory, now);
    let (on_loopback, on_tls) = (public.is_on_loopback(), public.tls.is_some());
    let (callers, quotas) = callers::callers(&mut root);
    let (tokens, of_tokens) = jwt::jwt(&mut root, directory);
    let quotas = limits::Quotas { callers: quotas, tokens: of_tokens };
    let mut limits = root.section("limits");
    let anonymous_is_written = limits.has("anonymous");
    let (anonymous, limits) = limits::limits(&mut limits, on_loopback, quotas);
    let admin = admin::admin(&mut root.section("admin"), directory, &noted, &public.listen);
    listeners::note_public_clashes(&noted, &public.listen);
    let (upstream, key) =
        upstream::upstream(&mut root.section("upstream"), directory, raw.private_key);
    let request_timeout = upstream.request_timeout;
    let lists = cache::cache(&mut root.section("cache"), request_timeout);
    let cors = root.has("cors").then(|| cors::cors(&mut root.section("cors"), on_loopback));
    let webhooks =
        root.has("webhooks").then(|| webhooks::webhooks(&mut root.section("webhooks"), directory));
    let body_max = upstream.max_response_bytes;
    let of_fills = FillLimits { body_max, request_timeout };
    let cluster =
        root.has("cluster").then(|| cluster::cluster(&mut root.section("cluster"), of_fills));
    let telemetry = telemetry::telemetry(&mut root.section("telemetry"));
    drop(root);
    let problems = noted.take();
    match (admin, key) {
        (Some(admin), Some(key)) if problems.is_empty() => Ok(Settings {
            public,
            admin,
            upstream,
            key: Arc::new(key),
            cache: lists.cache,
            access: AccessSettings {
                anonymous,
                callers,
                tokens,
                limits,
                browser_max_age: lists.browser_max_age,
                expose_private: lists.expose_private,
                cors: cors.flatten(),
                tls: on_tls,
            },
            anonymous_is_written,
            file_is_empty,
            webhooks: webhooks.flatten(),
            cluster: cluster.flatten(),
            telemetry,
            effective,
            warnings: noted.take_warnings(),
        }),
        _ => Err(Problems(problems)),
    }
}

/// Checks `[jwt]` alone.
pub(super) fn tokens(raw: Raw, directory: &Path) -> Result<TokenSettings, Problems> {
    let noted = Noted::new(raw.problems);
    let mut root = Section::root(raw.table, raw.from_environment, &noted);
    if !root.has("jwt") {
        root.note("jwt", "is required: it says how tokens are signed");
    }
    let (tokens, _) = jwt::jwt(&mut root, directory);
    let problems = noted.take();
    // The rest of the file is not checked: the problems are taken before `root` is dropped.
    tokens.filter(|_| problems.is_empty()).ok_or(Problems(problems))
}
