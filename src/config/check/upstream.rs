//! Check of `[upstream]`: URL, timeouts, limits, retries, breaker and private key.

use std::path::Path;
use std::time::Duration;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject as _};

use super::super::PRIVATE_KEY_VARIABLE;
use super::super::value::{Given, Section};
use super::limits::quota;
use super::{GIB, KIB, MIB, bytes, file};
use crate::error::chain;
use crate::limit::Quota;
use crate::secret::{PrivateKey, Secret, has_colon, is_one_word, is_public_key};
use crate::upstream::{BreakerSettings, RetrySettings, UpstreamSettings, UpstreamUrl};

const BUDGET: Quota = Quota::new(40, 100).expect("neither is zero");

pub(super) fn upstream(
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
    let in_flight = upstream.get("max_inflight_bytes", |given| given.size(&(KIB..=4 * GIB - 1)));
    let (response, in_flight) = (response.unwrap_or(4 * MIB), in_flight.unwrap_or(64 * MIB));
    if in_flight < response {
        upstream.note("max_inflight_bytes", "must not be less than max_response_bytes");
    }
    let budget = quota(upstream, "budget", BUDGET);
    let retries = retries(&mut upstream.section("retries"));
    let breaker = breaker(&mut upstream.section("breaker"));
    let extra_roots = upstream.get("ca_file", |given| {
        let path = file(given, directory).map_err(str::to_owned)?;
        certificates(&path)
    });
    let key = private_key(upstream, directory, from_environment);
    let settings = url.or_else(default_url).map(|url| UpstreamSettings {
        url,
        connect_timeout: connect_timeout.unwrap_or(Duration::from_secs(2)),
        request_timeout: request_timeout.unwrap_or(Duration::from_secs(10)),
        max_concurrency: concurrency.unwrap_or(64),
        max_response_bytes: bytes(response),
        max_inflight_bytes: bytes(in_flight),
        extra_roots: extra_roots.unwrap_or_default(),
        budget,
        retries,
        breaker,
    });
    (settings, key)
}

fn retries(retries: &mut Section) -> RetrySettings {
    let max = retries.get("max", |given| given.integer(&(0..=10_u32)));
    let percent = retries.get("budget_percent", |given| given.integer(&(0..=100_u32)));
    RetrySettings { max: max.unwrap_or(2), budget_percent: percent.unwrap_or(20) }
}

fn breaker(breaker: &mut Section) -> BreakerSettings {
    let failures = breaker.get("failures", |given| given.integer(&(1..=1000_u32)));
    let open_for = breaker.get("open_for", Given::positive_duration);
    BreakerSettings {
        failures: failures.unwrap_or(5),
        open_for: open_for.unwrap_or(Duration::from_secs(5)),
    }
}

/// Reads all certificates of a PEM file; at least one is required.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let unusable = |error: pem::Error| format!("{}: {error}", path.display());
    let found = CertificateDer::pem_file_iter(path).map_err(unusable)?;
    let found: Vec<_> = found.collect::<Result<_, _>>().map_err(unusable)?;
    // webpki silently leaves out certificates that it cannot use, so they are counted here.
    let (usable, _) = RootCertStore::empty().add_parsable_certificates(found.iter().cloned());
    if found.is_empty() || usable < found.len() {
        return Err(format!(
            "{}: must hold certificates in PEM, and only valid ones",
            path.display()
        ));
    }
    Ok(found)
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
        (Some(key), false) => match judge(&key) {
            Ok(()) => Some(PrivateKey::fixed(key)),
            Err(message) => {
                upstream.note(KEY, format_args!("{PRIVATE_KEY_VARIABLE} {message}"));
                None
            }
        },
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

/// Checks that the text can be a private key of ImageKit.
fn judge(key: &Secret) -> Result<(), &'static str> {
    match key.expose() {
        "" => Err("is empty"),
        text if !is_one_word(text) => Err("must be one line of visible ASCII"),
        text if is_public_key(text) => {
            Err("holds the public key; what is needed begins with private_")
        }
        text if has_colon(text) => {
            Err("holds a colon: no key of ImageKit's has one, and none can be sent")
        }
        _ => Ok(()),
    }
}
