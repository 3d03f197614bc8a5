//! HTTP transport: one exchange with the upstream over a pooled connection.
//!
//! It adds the private key and reads the body within its limit. Only two things of a caller's
//! request enter the upstream request: the validated file id, and the trace context from a trusted
//! proxy. So nothing else of it can leak upstream. Redirects are not followed and proxy variables
//! are not read: the key goes to the configured host or nowhere.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, USER_AGENT, VIA};
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use http_body_util::Empty;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::{
    CaptureConnection, HttpConnector, HttpInfo, capture_connection,
};
use hyper_util::client::legacy::{self, Client};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use parking_lot::Mutex;
use rustls::ClientConfig;

use super::body::{BodyCoding, BodyMemory};
use super::error::{BadAnswer, UpstreamError};
use super::rate_fields::RateFields;
use super::response::UpstreamResponse;
use super::settings::UpstreamSettings;
use super::transport::{CallResult, FetchRequest, Transport};
use super::url::UpstreamUrl;
use crate::clock::Clock;
use crate::message::trace_context::TRACEPARENT;
use crate::secret::Secret;

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

/// Wait that is reported to callers if a 429 states none.
const BUSY_WAIT: Duration = Duration::from_secs(1);

/// Value of `Via` (RFC 9110 section 7.6.3).
const THIS_GATEWAY: HeaderValue = HeaderValue::from_static("1.1 ikgate");

const AGENT: HeaderValue = HeaderValue::from_static(concat!("ikgate/", env!("CARGO_PKG_VERSION")));

type Http = Client<HttpsConnector<HttpConnector>, Empty<Bytes>>;

/// Reason why the client could not be created.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamStartError {
    #[error("no trusted root certificates were found (on Debian: package ca-certificates)")]
    NoRoots { source: Option<rustls_native_certs::Error> },
    #[error("the TLS client for the upstream cannot be set up")]
    Tls(#[from] rustls::Error),
}

/// HTTP client for the configured host.
pub(super) struct HttpTransport {
    url: UpstreamUrl,
    connect_timeout: Duration,
    idle_max: usize,
    tls: ClientConfig,
    pool: ArcSwap<Pool>,
    bodies: BodyMemory,
    clock: Clock,
}

/// Pool of the connections that were opened since `since`.
struct Pool {
    since: Duration,
    http: Http,
    /// Local addresses of the connections that have carried a response.
    used: Mutex<HashSet<SocketAddr>>,
}

/// Most local addresses that are remembered. An upstream that closes after each response makes
/// many.
const USED_MAX: usize = 10_000;

impl Pool {
    fn new(since: Duration, http: Http) -> Self {
        Self { since, http, used: Mutex::default() }
    }

    fn note_used(&self, connection: &CaptureConnection) {
        if let Some(address) = local_address(connection) {
            let mut used = self.used.lock();
            if used.len() >= USED_MAX {
                used.clear();
            }
            used.insert(address);
        }
    }

    fn was_used(&self, connection: &CaptureConnection) -> bool {
        local_address(connection).is_some_and(|address| self.used.lock().contains(&address))
    }
}

fn local_address(connection: &CaptureConnection) -> Option<SocketAddr> {
    let mut extras = http::Extensions::new();
    connection.connection_metadata().as_ref()?.get_extras(&mut extras);
    extras.get::<HttpInfo>().map(HttpInfo::local_addr)
}

impl HttpTransport {
    pub(super) fn new(
        settings: &UpstreamSettings,
        clock: Clock,
    ) -> Result<Self, UpstreamStartError> {
        let tls = tls(settings)?;
        let (connect_timeout, idle_max) = (settings.connect_timeout, settings.max_concurrency);
        let http = http(tls.clone(), connect_timeout, idle_max);
        Ok(Self {
            url: settings.url.clone(),
            connect_timeout,
            idle_max,
            tls,
            pool: ArcSwap::from_pointee(Pool::new(clock.monotonic(), http)),
            bodies: BodyMemory::new(settings.max_inflight_bytes, settings.max_response_bytes),
            clock,
        })
    }

    async fn read(
        &self,
        fields: &HeaderMap,
        status: StatusCode,
        body: hyper::body::Incoming,
        asked: Duration,
    ) -> Result<UpstreamResponse, UpstreamError> {
        // Decoded even with `no-transform`: the coding is there because the gateway requested it.
        let coding = BodyCoding::of(fields).ok_or(UpstreamError::Bad(BadAnswer::Coding))?;
        let (bytes, share) = self.bodies.read(body, coding).await.map_err(UpstreamError::Bad)?;
        UpstreamResponse::judge(status, fields, bytes, share, asked)
    }

    fn request(&self, fetch: &FetchRequest, key: &Secret) -> Request<Empty<Bytes>> {
        let mut request = Request::new(Empty::new());
        *request.uri_mut() = self.url.join(&fetch.file.versions_path());
        let fields = request.headers_mut();
        fields.insert(AUTHORIZATION, key.basic_authorization());
        fields.insert(ACCEPT, HeaderValue::from_static("application/json"));
        fields.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        fields.insert(USER_AGENT, AGENT);
        fields.insert(VIA, THIS_GATEWAY);
        if let Some(trace) = fetch.trace {
            fields.insert(TRACEPARENT, trace.to_field_value(fastrand::u64(..)));
        }
        request
    }

    /// Returns the pool, or a new one if it is too old. Calls in progress finish on the old one.
    fn pool(&self, now: Duration) -> Arc<Pool> {
        let pool = self.pool.load_full();
        if now < pool.since + CONNECTION_AGE_MAX {
            return pool;
        }
        let http = http(self.tls.clone(), self.connect_timeout, self.idle_max);
        let pool = Arc::new(Pool::new(now, http));
        self.pool.store(Arc::clone(&pool));
        pool
    }
}

impl Transport for HttpTransport {
    async fn exchange(&self, fetch: &FetchRequest, key: &Secret, now: Duration) -> CallResult {
        let mut request = self.request(fetch, key);
        let (pool, connection) = (self.pool(now), capture_connection(&mut request));
        let response = match pool.http.request(request).await {
            Ok(response) => response,
            Err(error) => {
                let response = Err(failed(error, pool.was_used(&connection)));
                return CallResult { response, window: None, pause: None };
            }
        };
        pool.note_used(&connection);
        let (head, body) = response.into_parts();
        let rate = RateFields::of(&head.headers, self.clock.wall());
        let response = match head.status {
            StatusCode::OK | StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND => {
                self.read(&head.headers, head.status, body, now).await
            }
            status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
                Err(UpstreamError::Auth { status: Some(status) })
            }
            StatusCode::TOO_MANY_REQUESTS => {
                Err(UpstreamError::Busy { wait: rate.wait().unwrap_or(BUSY_WAIT), fields: rate })
            }
            status => Err(UpstreamError::Bad(BadAnswer::Status { status })),
        };
        // A proxy in front of the upstream may state limits of its own.
        let is_its_own = matches!(response, Ok(_) | Err(UpstreamError::Busy { .. }));
        let pause = match &response {
            Err(UpstreamError::Busy { wait, .. }) => Some(*wait),
            // Without a stated wait, the call is retried as configured.
            Err(UpstreamError::Bad(BadAnswer::Status {
                status: StatusCode::SERVICE_UNAVAILABLE,
            })) => rate.wait(),
            _ => None,
        };
        CallResult { response, window: rate.window().filter(|_| is_its_own), pause }
    }
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

fn tls(settings: &UpstreamSettings) -> Result<ClientConfig, UpstreamStartError> {
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

/// Maps a failure before the response began to its error.
fn failed(error: legacy::Error, reused: bool) -> UpstreamError {
    let cause = std::error::Error::source(&error).and_then(|source| source.downcast_ref());
    if cause.is_some_and(hyper::Error::is_parse_status) {
        UpstreamError::Bad(BadAnswer::NoStatus { source: error })
    } else if cause.is_some_and(hyper::Error::is_parse) {
        UpstreamError::Bad(BadAnswer::Head { source: error })
    } else {
        UpstreamError::Unreachable { source: error, reused }
    }
}
