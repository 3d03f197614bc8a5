//! Check of `[upstream]`: URL, timeouts, limits, retries, breaker and private key.

use std::path::Path;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject as _};

use super::super::given::Given;
use super::super::section::Section;
use super::super::settings::PRIVATE_KEY_VARIABLE;
use super::file::{file, unlike, warn_of_readers};
use super::quota::quota;
use super::units::{GIB, KIB, bytes};
use crate::caller::KEY_PREFIX;
use crate::error_chain::chain;
use crate::secret::{
    PRIVATE_KEY_PREFIX, PrivateKey, Secret, has_colon, is_one_word, is_public_key,
};
use crate::upstream::{BreakerSettings, RetrySettings, UpstreamSettings, UpstreamUrl};

pub(super) fn upstream(
    upstream: &mut Section,
    directory: &Path,
    from_environment: Option<Secret>,
) -> (UpstreamSettings, Option<PrivateKey>) {
    let url = upstream.get("url", |given| {
        UpstreamUrl::parse(given.text().map_err(str::to_owned)?).map_err(|error| error.to_string())
    });
    let connect_timeout = upstream.get("connect_timeout", Given::positive_duration);
    let request_timeout = upstream.get("request_timeout", Given::positive_duration);
    let max_concurrency =
        upstream.get("max_concurrency", |given| given.integer(&(1..=10_000_usize)));
    let response = upstream.get("max_response_bytes", |given| given.size(&(KIB..=GIB)));
    let in_flight = upstream.get("max_inflight_bytes", |given| given.size(&(KIB..=4 * GIB - 1)));
    if in_flight < response {
        upstream.note("max_inflight_bytes", "must not be less than max_response_bytes");
    }
    let budget = quota(upstream, "budget");
    let retries = retries(&mut upstream.section("retries"));
    let breaker = breaker(&mut upstream.section("breaker"));
    let extra_roots = upstream.optional("ca_file", |given| {
        let path = file(given, directory).map_err(str::to_owned)?;
        certificates(&path)
    });
    let key = private_key(upstream, directory, from_environment);
    let settings = UpstreamSettings {
        url,
        connect_timeout,
        request_timeout,
        max_concurrency,
        max_response_bytes: bytes(response),
        max_inflight_bytes: bytes(in_flight),
        extra_roots: extra_roots.unwrap_or_default(),
        budget,
        retries,
        breaker,
    };
    (settings, key)
}

fn retries(retries: &mut Section) -> RetrySettings {
    let max = retries.get("max", |given| given.integer(&(0..=10_u32)));
    let budget_percent = retries.get("budget_percent", |given| given.integer(&(0..=100_u32)));
    RetrySettings { max, budget_percent }
}

fn breaker(breaker: &mut Section) -> BreakerSettings {
    let failures = breaker.get("failures", |given| given.integer(&(1..=1000_u32)));
    let open_for = breaker.get("open_for", Given::positive_duration);
    BreakerSettings { failures, open_for }
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
            upstream.optional(KEY, |_| Ok::<_, String>(()));
            upstream.note(KEY, format_args!("{PRIVATE_KEY_VARIABLE} is set too: use only one"));
            None
        }
        (Some(key), false) => match judge(&key) {
            Ok(()) => {
                warn_of_wrong_key(upstream, &key, PRIVATE_KEY_VARIABLE);
                Some(PrivateKey::fixed(key))
            }
            Err(message) => {
                upstream.note(KEY, format_args!("{PRIVATE_KEY_VARIABLE} {message}"));
                None
            }
        },
        (None, true) => {
            let (path, key) = upstream.optional(KEY, |given| {
                let path = file(given, directory).map_err(str::to_owned)?;
                let key = PrivateKey::from_file(&path).map_err(|error| chain(&error))?;
                Ok::<_, String>((path, key))
            })?;
            warn_of_readers(upstream, KEY, &path);
            warn_of_wrong_key(upstream, &key.current(), "the file");
            Some(key)
        }
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

/// Warns of a key that ImageKit has not made: it refuses every call with that key. `source`: the
/// variable or the file that holds it.
fn warn_of_wrong_key(upstream: &Section, key: &Secret, source: &str) {
    const KEY: &str = "private_key_file";
    if key.expose().starts_with(KEY_PREFIX) {
        let message = "holds a caller's key of ikgate: ImageKit's begins with private_";
        upstream.warn(KEY, format_args!("{source} {message}"));
    } else if let Some(wrong) = unlike(key, PRIVATE_KEY_PREFIX) {
        let message = "ImageKit refuses every call with it";
        upstream.warn(KEY, format_args!("the key in {source} {wrong}; {message}"));
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
            Err("holds a colon: ImageKit's keys have none, and a key with a colon cannot be sent")
        }
        _ => Ok(()),
    }
}
