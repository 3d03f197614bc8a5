//! Pool of HTTP connections to the upstream, with its TLS. A new pool replaces it from time to
//! time, since the host name may resolve to other addresses by then.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Empty;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{CaptureConnection, HttpConnector, HttpInfo};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use parking_lot::Mutex;
use rustls::ClientConfig;

use super::settings::UpstreamSettings;

/// Time that an idle connection is kept. A longer time saves handshakes after quiet spells. It
/// should stay below the upstream's own limit, or the first call afterwards finds the connection
/// closed.
const POOL_IDLE: Duration = Duration::from_secs(30);

/// Time after which a new pool replaces the connections: the host name may resolve to other
/// addresses by then.
const CONNECTION_AGE_MAX: Duration = Duration::from_mins(5);

/// Interval of HTTP/2 pings. All calls may share one connection, so a dead one must be detected.
const PING_INTERVAL: Duration = Duration::from_secs(5);
const PING_TIMEOUT: Duration = Duration::from_secs(5);

/// Most local addresses that are remembered. An upstream that closes after each response makes
/// many.
const USED_MAX: usize = 10_000;

type Http = Client<HttpsConnector<HttpConnector>, Empty<Bytes>>;

/// Reason why the client could not be created.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamStartError {
    #[error("no trusted root certificates were found (on Debian: package ca-certificates)")]
    NoRoots { source: Option<rustls_native_certs::Error> },
    #[error("the TLS client for the upstream cannot be set up")]
    Tls(#[from] rustls::Error),
}

/// Pool of the connections that were opened since `since`.
pub(super) struct Pool {
    since: Duration,
    pub(super) http: Http,
    /// Local addresses of the connections that have carried a response.
    used: Mutex<HashSet<SocketAddr>>,
}

impl Pool {
    /// Returns a pool without connections, which keeps at most `idle_max` idle ones.
    pub(super) fn new(
        since: Duration,
        tls: ClientConfig,
        connect_timeout: Duration,
        idle_max: usize,
    ) -> Self {
        Self { since, http: http(tls, connect_timeout, idle_max), used: Mutex::default() }
    }

    /// Returns whether a new pool should replace this one.
    pub(super) fn is_too_old(&self, now: Duration) -> bool {
        now >= self.since + CONNECTION_AGE_MAX
    }

    /// Notes that the connection has carried a response.
    pub(super) fn note_used(&self, connection: &CaptureConnection) {
        if let Some(address) = local_address(connection) {
            let mut used = self.used.lock();
            if used.len() >= USED_MAX {
                used.clear();
            }
            used.insert(address);
        }
    }

    /// Returns whether the connection has carried a response.
    pub(super) fn was_used(&self, connection: &CaptureConnection) -> bool {
        local_address(connection).is_some_and(|address| self.used.lock().contains(&address))
    }
}

/// Returns the TLS client, with the roots of the system and the configured ones.
pub(super) fn tls(settings: &UpstreamSettings) -> Result<ClientConfig, UpstreamStartError> {
    let mut roots = rustls::RootCertStore::empty();
    // A plain HTTP upstream on loopback must not depend on the system's certificates.
    if settings.url.is_tls() {
        let mut native = rustls_native_certs::load_native_certs();
        let (native_added, _unusable) = roots.add_parsable_certificates(native.certs);
        let own = settings.extra_roots.iter().cloned();
        let (own_added, _unusable) = roots.add_parsable_certificates(own);
        if native_added + own_added == 0 {
            return Err(UpstreamStartError::NoRoots { source: native.errors.pop() });
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

fn http(tls: ClientConfig, connect_timeout: Duration, idle_max: usize) -> Http {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_connect_timeout(Some(connect_timeout));
    tcp.set_nodelay(true);
    let connector = hyper_rustls::HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_all_versions()
        .wrap_connector(tcp);
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .timer(TokioTimer::new())
        .http2_keep_alive_interval(PING_INTERVAL)
        .http2_keep_alive_timeout(PING_TIMEOUT)
        .pool_idle_timeout(POOL_IDLE)
        .pool_max_idle_per_host(idle_max)
        .build(connector)
}

fn local_address(connection: &CaptureConnection) -> Option<SocketAddr> {
    let mut extras = http::Extensions::new();
    connection.connection_metadata().as_ref()?.get_extras(&mut extras);
    extras.get::<HttpInfo>().map(HttpInfo::local_addr)
}
