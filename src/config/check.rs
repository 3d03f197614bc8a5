//! From what was written to settings that cannot be wrong.
//!
//! One statement a key: its name, what it must be, and what it is when it is not given. A value
//! that is wrong is noted and replaced by its default, so that everything else is still checked;
//! the settings are only handed out if nothing was noted.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::problem::Problems;
use super::raw::Raw;
use super::value::{Given, Noted, Section};
use super::{AdminListenerSettings, PRIVATE_KEY_VARIABLE, PublicSettings, Settings};
use crate::admin::{AdminSettings, Exposure};
use crate::cache::{CacheSettings, FreshnessSettings};
use crate::caller::{AnonymousPolicy, CallerSettings, KeyDigest};
use crate::error::chain;
use crate::exchange::CallerLabel;
use crate::file_id::FileId;
use crate::limit::{LimitSettings, Quota};
use crate::route::BasePath;
use crate::secret::{PrivateKey, Secret, is_one_word};
use crate::server::ServerSettings;
use crate::telemetry::{LogFilter, LogFormat, TelemetrySettings};
use crate::upstream::{UpstreamSettings, UpstreamUrl};

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const GIB: u64 = 1024 * MIB;

const CALLERS_MAX: usize = 1000;
const CALLER_NAME_MAX: usize = 64;
const ANONYMOUS_QUOTA: Quota = Quota::new(10, 20).expect("neither is zero");
const CALLER_QUOTA: Quota = Quota::new(50, 100).expect("neither is zero");
/// Highest rate and burst. One cell of a higher rate would be less than a microsecond.
const RATE_MAX: u32 = 1_000_000;

pub(super) fn check(raw: Raw, directory: &Path) -> Result<Settings, Problems> {
    let noted = Noted::default();
    let mut root = Section::root(raw.table, raw.from_environment, &noted);
    let public = public(&mut root.section("server"));
    let on_loopback = public.listen.iter().all(|address| address.ip().is_loopback());
    let (anonymous, anonymous_quota) = limits(&mut root.section("limits"), on_loopback);
    let (callers, quotas) = callers(&mut root);
    let admin = admin(&mut root.section("admin"), directory);
    let (upstream, key) = upstream(&mut root.section("upstream"), directory, raw.private_key);
    let cache = cache(&mut root.section("cache"));
    let telemetry = telemetry(&mut root.section("telemetry"));
    drop(root);
    let problems = noted.take();
    match (upstream, admin, key) {
        (Some(upstream), Some(admin), Some(key)) if problems.is_empty() => Ok(Settings {
            public,
            admin,
            upstream,
            key: Arc::new(key),
            cache,
            anonymous,
            callers,
            limits: LimitSettings { anonymous: anonymous_quota, callers: quotas },
            telemetry,
        }),
        _ => Err(Problems(problems)),
    }
}

fn public(server: &mut Section) -> PublicSettings {
    let default = || vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 8080))];
    let listen = server.get("listen", |given| {
        let addresses: Result<Vec<_>, _> =
            given.texts()?.iter().map(|text| text.parse::<SocketAddr>()).collect();
        match addresses {
            Ok(addresses) if !addresses.is_empty() => Ok(addresses),
            _ => Err("must be one or more addresses like \"127.0.0.1:8080\""),
        }
    });
    let base_path = server.get("base_path", |given| {
        BasePath::parse(given.text()?).map_err(|_| "must be empty or like \"/imagekit\"")
    });
    let connections = server.get("max_connections", |given| given.integer(&(1..=1_000_000_usize)));
    let head = server.get("max_head_bytes", |given| given.size(&(8 * KIB..=MIB)));
    PublicSettings {
        listen: listen.unwrap_or_else(default),
        base_path: base_path.unwrap_or_default(),
        server: ServerSettings {
            max_connections: connections.unwrap_or(10_000),
            max_head_bytes: bytes(head.unwrap_or(16 * KIB)),
        },
        shutdown_delay: server.get("shutdown_delay", Given::duration).unwrap_or_default(),
        shutdown_grace: server
            .get("shutdown_grace", Given::duration)
            .unwrap_or(Duration::from_secs(30)),
    }
}

fn admin(admin: &mut Section, directory: &Path) -> Option<AdminListenerSettings> {
    let listen = admin.get("listen", |given| {
        let parsed = given.text()?.parse::<SocketAddr>();
        parsed.map_err(|_| "must be an address like \"127.0.0.1:9090\"")
    });
    let listen = listen.unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 9090)));
    let configured = admin.has("token_file");
    let token = admin.get("token_file", |given| {
        let path = file(given, directory).map_err(str::to_owned)?;
        Secret::from_file(&path).map_err(|error| chain(&error))
    });
    let hosts = admin.get("hosts", Given::texts).unwrap_or_default();
    let exposure = match (listen.ip().is_loopback(), token) {
        (true, token) => Exposure::Loopback { token },
        (false, Some(token)) => Exposure::Network { token },
        (false, None) => {
            if !configured {
                let message = "is required when admin.listen is not a loopback address";
                admin.note("token_file", message);
            }
            return None;
        }
    };
    let hosts = hosts.iter().map(|host| host.to_ascii_lowercase()).collect();
    Some(AdminListenerSettings { listen, guard: AdminSettings { exposure, hosts } })
}

fn upstream(
    upstream: &mut Section,
    directory: &Path,
    from_environment: Option<Secret>,
) -> (Option<UpstreamSettings>, Option<PrivateKey>) {
    let url = upstream.get("url", |given| {
        UpstreamUrl::parse(given.text().map_err(str::to_owned)?).map_err(|error| error.to_string())
    });
    let default_url = || UpstreamUrl::parse("https://api.imagekit.io").ok();
    let connect_timeout = upstream.get("connect_timeout", Given::positive_duration);
    let request_timeout = upstream.get("request_timeout", Given::positive_duration);
    let concurrency = upstream.get("max_concurrency", |given| given.integer(&(1..=10_000_usize)));
    let response = upstream.get("max_response_bytes", |given| given.size(&(KIB..=GIB)));
    let key = private_key(upstream, directory, from_environment);
    let settings = url.or_else(default_url).map(|url| UpstreamSettings {
        url,
        connect_timeout: connect_timeout.unwrap_or(Duration::from_secs(2)),
        request_timeout: request_timeout.unwrap_or(Duration::from_secs(10)),
        max_concurrency: concurrency.unwrap_or(64),
        max_response_bytes: bytes(response.unwrap_or(4 * MIB)),
    });
    (settings, key)
}

fn private_key(
    upstream: &mut Section,
    directory: &Path,
    from_environment: Option<Secret>,
) -> Option<PrivateKey> {
    const KEY: &str = "private_key_file";
    match (from_environment, upstream.has(KEY)) {
        (Some(_), true) => {
            upstream.get(KEY, |_| Ok::<_, String>(()));
            upstream.note(KEY, format_args!("{PRIVATE_KEY_VARIABLE} is set too: use only one"));
            None
        }
        (Some(key), false) if is_one_word(key.expose()) => Some(PrivateKey::fixed(key)),
        (Some(_), false) => {
            let message = format_args!("{PRIVATE_KEY_VARIABLE} must be one line of visible ASCII");
            upstream.note(KEY, message);
            None
        }
        (None, true) => upstream.get(KEY, |given| {
            let path = file(given, directory).map_err(str::to_owned)?;
            PrivateKey::from_file(&path).map_err(|error| chain(&error))
        }),
        (None, false) => {
            let message = format_args!(
                "is required: a file that holds ImageKit's private key, or set \
                 {PRIVATE_KEY_VARIABLE}"
            );
            upstream.note(KEY, message);
            None
        }
    }
}

fn cache(cache: &mut Section) -> CacheSettings {
    let max_bytes = cache.get("max_bytes", |given| given.size(&(MIB..=1024 * GIB)));
    let ttl = cache.get("ttl", Given::duration);
    let not_found_ttl = cache.get("not_found_ttl", Given::duration);
    CacheSettings {
        max_bytes: max_bytes.unwrap_or(256 * MIB),
        freshness: FreshnessSettings {
            ttl: ttl.unwrap_or(Duration::from_mins(1)),
            not_found_ttl: not_found_ttl.unwrap_or(Duration::from_secs(10)),
        },
    }
}

fn limits(limits: &mut Section, on_loopback: bool) -> (AnonymousPolicy, Quota) {
    if !on_loopback && !limits.has("anonymous") {
        let message = "must be set when server.listen is not only loopback: a quota like \
                       { per_second = 10, burst = 20 }, or false to refuse callers without a key";
        limits.note("anonymous", message);
    }
    if limits.has("anonymous") && !limits.is_table("anonymous") {
        let refused = limits.get("anonymous", |given| match given.boolean() {
            Some(false) => Ok(AnonymousPolicy::Refuse),
            _ => Err("must be a quota like { per_second = 10, burst = 20 }, or false"),
        });
        return (refused.unwrap_or(AnonymousPolicy::Refuse), ANONYMOUS_QUOTA);
    }
    (AnonymousPolicy::Serve, quota(limits, "anonymous", ANONYMOUS_QUOTA))
}

fn quota(section: &mut Section, key: &str, default: Quota) -> Quota {
    let mut quota = section.section(key);
    let number = |given: &Given| given.integer(&(1..=RATE_MAX)).map(NonZeroU32::new);
    Quota {
        per_second: quota.get("per_second", number).flatten().unwrap_or(default.per_second),
        burst: quota.get("burst", number).flatten().unwrap_or(default.burst),
    }
}

fn callers(root: &mut Section) -> (Vec<CallerSettings>, Vec<Quota>) {
    let sections = root.sections("callers");
    if sections.len() > CALLERS_MAX {
        root.note("callers", format_args!("must be at most {CALLERS_MAX}"));
    }
    let mut callers: Vec<CallerSettings> = Vec::new();
    let mut quotas = Vec::new();
    for mut section in sections {
        let name = section.require("name", |given| caller_name(given.text()?));
        let keys = section.require("key_sha256", key_digests);
        let files = section.get("files", |given| {
            let ids = given.texts()?;
            let ids: Result<Vec<_>, _> = ids.iter().map(|id| FileId::parse(id)).collect();
            ids.map_err(|_| "must be a list of file ids")
        });
        quotas.push(quota(&mut section, "quota", CALLER_QUOTA));
        let (name, keys) = (name.unwrap_or_default(), keys.unwrap_or_default());
        if callers.iter().any(|other| other.name == name && !name.is_empty()) {
            section.note("name", format_args!("\"{name}\" is another caller's too"));
        }
        let taken = |key| callers.iter().any(|other| other.keys.contains(key));
        if keys.iter().any(taken) {
            section.note("key_sha256", "is another caller's too");
        }
        callers.push(CallerSettings { name, keys, files });
    }
    (callers, quotas)
}

/// Checks a caller's name: it stands in quoted field values and in metrics' labels.
pub fn caller_name(name: &str) -> Result<String, &'static str> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if name.is_empty() || name.len() > CALLER_NAME_MAX || !name.bytes().all(allowed) {
        return Err("must be 1 to 64 of A-Z a-z 0-9 . _ -");
    }
    if CallerLabel::RESERVED.contains(&name) {
        return Err("is what ikgate calls its own kinds of callers");
    }
    Ok(name.to_owned())
}

/// One digest, or two while a key is being replaced.
fn key_digests(given: &Given) -> Result<Vec<KeyDigest>, String> {
    let texts = match given.text() {
        Ok(text) => vec![text.to_owned()],
        Err(_) => given.texts().map_err(str::to_owned)?,
    };
    if !(1..=2).contains(&texts.len()) {
        return Err("must be one digest, or two while a key is being replaced".to_owned());
    }
    let digests: Result<Vec<_>, _> = texts.iter().map(|hex| KeyDigest::parse(hex)).collect();
    digests.map_err(|error| error.to_string())
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
    TelemetrySettings {
        log: log.unwrap_or_else(|| LogFilter::parse("info").expect("a level is a filter")),
        format: format.unwrap_or(LogFormat::Json),
    }
}

/// A path; a relative one starts at the configuration's directory.
fn file(given: &Given, directory: &Path) -> Result<PathBuf, &'static str> {
    match given.text()? {
        "" => Err("must be a path"),
        path => Ok(directory.join(path)),
    }
}

/// Sizes are checked against limits far below this.
fn bytes(size: u64) -> usize {
    usize::try_from(size).unwrap_or(usize::MAX)
}
