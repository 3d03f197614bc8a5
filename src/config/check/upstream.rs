//! `[upstream]`.

use std::path::Path;
use std::time::Duration;

use super::super::PRIVATE_KEY_VARIABLE;
use super::super::value::{Given, Section};
use super::{GIB, KIB, MIB, bytes, file};
use crate::error::chain;
use crate::secret::{PrivateKey, Secret, is_one_word};
use crate::upstream::{UpstreamSettings, UpstreamUrl};

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
    let key = private_key(upstream, directory, from_environment);
    let settings = url.or_else(default_url).map(|url| UpstreamSettings {
        url,
        connect_timeout: connect_timeout.unwrap_or(Duration::from_secs(2)),
        request_timeout: request_timeout.unwrap_or(Duration::from_secs(10)),
        max_concurrency: concurrency.unwrap_or(64),
        max_response_bytes: bytes(response),
        max_inflight_bytes: bytes(in_flight),
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
