//! Checks of the configuration: turn a table into valid settings.
//!
//! Each key has one statement: its name, its check and its default. A value that fails its check is
//! noted and replaced by its default, so that everything else is still checked. The settings are
//! returned only if nothing was noted.

mod cache;
mod callers;
mod cluster;
mod jwt;
mod limits;
mod server;
mod upstream;

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub use callers::caller_name;

use super::effective::effective;
use super::problem::Problems;
use super::raw::Raw;
use super::value::{Given, Noted, Section};
use super::{AdminListenerSettings, Settings};
use crate::admin::{AdminSettings, Exposure};
use crate::caller::TokenSettings;
use crate::cluster::FillLimits;
use crate::error::chain;
use crate::gateway::AccessSettings;
use crate::invalidation::{SigningSecret, WebhookSettings};
use crate::response::{AllowedOrigin, Cors};
use crate::secret::Secret;
use crate::server::ListenSource;
use crate::telemetry::{AccessLogMode, LogFilter, LogFormat, TelemetrySettings};

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const GIB: u64 = 1024 * MIB;

/// Maximum number of allowed origins. Each is compared with every request from a page.
const ORIGINS_MAX: usize = 100;

pub(super) fn check(raw: Raw, directory: &Path) -> Result<Settings, Problems> {
    let noted = Noted::default();
    let effective = effective(&raw);
    let mut root = Section::root(raw.table, raw.from_environment, &noted);
    let public = server::server(&mut root.section("server"), directory);
    let on_loopback = public.is_on_loopback();
    let (callers, quotas) = callers::callers(&mut root);
    let (tokens, of_tokens) = jwt::jwt(&mut root, directory);
    let quotas = limits::Quotas { callers: quotas, tokens: of_tokens };
    let mut limits = root.section("limits");
    let anonymous_is_written = limits.has("anonymous");
    let (anonymous, limits) = limits::limits(&mut limits, on_loopback, quotas);
    let admin = admin(&mut root.section("admin"), directory);
    let (upstream, key) =
        upstream::upstream(&mut root.section("upstream"), directory, raw.private_key);
    let request_timeout = upstream.as_ref().map(|upstream| upstream.request_timeout);
    let request_timeout = request_timeout.unwrap_or_default();
    let lists = cache::cache(&mut root.section("cache"), request_timeout);
    let cors = root.has("cors").then(|| cors(&mut root.section("cors")));
    let webhooks = root.has("webhooks").then(|| webhooks(&mut root.section("webhooks"), directory));
    let body_max = upstream.as_ref().map_or(0, |upstream| upstream.max_response_bytes);
    let of_fills = FillLimits { body_max, fill_timeout: request_timeout };
    let cluster =
        root.has("cluster").then(|| cluster::cluster(&mut root.section("cluster"), of_fills));
    let telemetry = telemetry(&mut root.section("telemetry"));
    drop(root);
    let problems = noted.take();
    match (upstream, admin, key) {
        (Some(upstream), Some(admin), Some(key)) if problems.is_empty() => Ok(Settings {
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
            },
            anonymous_is_written,
            webhooks: webhooks.flatten(),
            cluster: cluster.flatten(),
            telemetry,
            effective,
        }),
        _ => Err(Problems(problems)),
    }
}

/// Checks `[jwt]` alone.
pub(super) fn tokens(raw: Raw, directory: &Path) -> Result<TokenSettings, Problems> {
    let noted = Noted::default();
    let mut root = Section::root(raw.table, raw.from_environment, &noted);
    if !root.has("jwt") {
        root.note("jwt", "is required: it says how tokens are signed");
    }
    let (tokens, _) = jwt::jwt(&mut root, directory);
    let problems = noted.take();
    // The rest of the file is not checked: the problems are taken before `root` is dropped.
    tokens.filter(|_| problems.is_empty()).ok_or(Problems(problems))
}

fn admin(admin: &mut Section, directory: &Path) -> Option<AdminListenerSettings> {
    let listen = admin.get("listen", |given| {
        let expected = "must be an address like \"127.0.0.1:9090\", or \"systemd\"";
        server::listen(given.text()?).ok_or(expected)
    });
    let listen = listen.unwrap_or(ListenSource::Address((Ipv4Addr::LOCALHOST, 9090).into()));
    let configured = admin.has("token_file");
    let token = admin.get("token_file", |given| {
        let path = file(given, directory).map_err(str::to_owned)?;
        Secret::from_file(&path).map_err(|error| chain(&error))
    });
    let hosts = admin.get("hosts", Given::texts).unwrap_or_default();
    let exposure = match (listen.is_loopback(), token) {
        (true, token) => Exposure::Loopback { token },
        (false, Some(token)) => Exposure::Network { token },
        (false, None) => {
            if !configured {
                let message = "is required unless admin.listen is a loopback address";
                admin.note("token_file", message);
            }
            return None;
        }
    };
    let hosts = hosts.iter().map(|host| host.to_ascii_lowercase()).collect();
    Some(AdminListenerSettings { listen, guard: AdminSettings { exposure, hosts } })
}

fn cors(cors: &mut Section) -> Option<Cors> {
    let origins = cors.require("allowed_origins", |given| {
        let texts = given.texts().map_err(str::to_owned)?;
        if !(1..=ORIGINS_MAX).contains(&texts.len()) {
            return Err(format!("must be 1 to {ORIGINS_MAX} origins"));
        }
        let origins: Result<Vec<_>, _> =
            texts.iter().map(|text| AllowedOrigin::parse(text)).collect();
        origins.map_err(|error| format!("each {error}"))
    });
    let max_age = cors.get("max_age", Given::duration).unwrap_or(Duration::from_mins(10));
    origins.map(|origins| Cors { origins, max_age })
}

fn webhooks(webhooks: &mut Section, directory: &Path) -> Option<WebhookSettings> {
    let secret = webhooks.require("secret_file", |given| {
        let path = file(given, directory).map_err(str::to_owned)?;
        Secret::from_file(&path).map_err(|error| chain(&error))
    });
    let tolerance = webhooks.get("tolerance", Given::positive_duration);
    secret.map(|secret| WebhookSettings {
        secret: SigningSecret::new(secret),
        tolerance: tolerance.unwrap_or(Duration::from_mins(5)),
    })
}

fn telemetry(telemetry: &mut Section) -> TelemetrySettings {
    let log = telemetry.get("log", |given| {
        LogFilter::parse(given.text().map_err(str::to_owned)?).map_err(|error| chain(&error))
    });
    let format = telemetry.get("format", |given| match given.text() {
        Ok("json") => Ok(LogFormat::Json),
        Ok("pretty") => Ok(LogFormat::Pretty),
        _ => Err("must be \"json\" or \"pretty\""),
    });
    let access_log = telemetry.get("access_log", |given| match given.text() {
        Ok("all") => Ok(AccessLogMode::All),
        Ok("errors") => Ok(AccessLogMode::Errors),
        Ok("off") => Ok(AccessLogMode::Off),
        _ => Err("must be \"all\", \"errors\" or \"off\""),
    });
    TelemetrySettings {
        access_log: access_log.unwrap_or(AccessLogMode::Errors),
        log: log.unwrap_or_else(|| LogFilter::parse("info").expect("a level is a filter")),
        format: format.unwrap_or(LogFormat::Json),
    }
}

/// Reads a path. A relative one starts at the configuration's directory.
fn file(given: &Given, directory: &Path) -> Result<PathBuf, &'static str> {
    match given.text()? {
        "" => Err("must be a path"),
        path => Ok(directory.join(path)),
    }
}

/// Converts a size. Its limits are far below `usize::MAX`.
fn bytes(size: u64) -> usize {
    usize::try_from(size).unwrap_or(usize::MAX)
}
