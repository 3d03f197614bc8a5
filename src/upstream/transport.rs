//! One exchange: a connection from the pool, the key injected, the body read within its limit.
//!
//! Nothing of a caller's request goes into it but the validated file id (and the trace that a proxy
//! of ours says it is part of), so nothing of it can leak upstream. No redirect is followed and no proxy variable is read: the key goes to the
//! configured host or nowhere.

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

use super::UpstreamSettings;
use super::answer::Answer;
use super::body::{BodyCoding, InFlight};
use super::dispatch::{Exchange, Order};
use super::error::{BadAnswer, UpstreamError};
use super::rate_fields::RateFields;
use super::url::UpstreamUrl;
use super::window::Window;
use crate::clock::Clock;
use crate::message::trace_context::TRACEPARENT;
use crate::secret::Secret;

/// How long an idle connection is kept. Longer saves handshakes after quiet spells; it should
/// stay under the other side's own limit, or the first call afterwards finds it closed.
const POOL_IDLE: Duration = Duration::from_secs(30);

/// How long connections are used before new ones take their place: a name may mean other
/// addresses by then.
const CONNECTION_AGE_MAX: Duration = Duration::from_mins(5);

/// All calls may share one HTTP/2 connection: one that is dead must be found out.
const PING_INTERVAL: Duration = Duration::from_secs(5);
const PING_TIMEOUT: Duration = Duration::from_secs(5);

/// The wait told to callers where a 429 does not say.
const BUSY_WAIT: Duration = Duration::from_secs(1);

/// RFC 9110 section 7.6.3.
const THIS_GATEWAY: HeaderValue = HeaderValue::from_static("1.1 ikgate");

const AGENT: HeaderValue = HeaderValue::from_static(concat!("ikgate/", env!("CARGO_PKG_VERSION")));

type Http = Client<HttpsConnector<HttpConnector>, Empty<Bytes>>;

/// Why no client could be made.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamStartError {
    #[error("no trusted root certificates were found (on Debian: package ca-certificates)")]
    NoRoots { source: Option<rustls_native_certs::Error> },
    #[error("TLS cannot be set up")]
    Tls(#[from] rustls::Error),
}

/// The way to the configured host.
pub(super) struct Transport {
    url: UpstreamUrl,
    connect_timeout: Duration,
    idle_max: usize,
    tls: ClientConfig,
    pool: ArcSwap<Pool>,
    bodies: InFlight,
    clock: Clock,
}

/// Connections that were opened since.
struct Pool {
    since: Duration,
    http: Http,
    /// Our ends of those that brought an answer.
    used: Mutex<HashSet<SocketAddr>>,
}

/// So many of them are told apart; an upstream that closes after each answer makes many.
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

/// What an exchange brought, and what it said of the upstream's limits in passing.
pub(super) struct Exchanged {
    pub(super) answer: Result<Answer, UpstreamError>,
    pub(super) window: Option<Window>,
    /// How long it said to wait.
    pub(super) pause: Option<Duration>,
}

impl Transport {
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
            bodies: InFlight::new(settings.max_inflight_bytes, settings.max_response_bytes),
            clock,
        })
    }

    async fn read(
        &self,
        fields: &HeaderMap,
        status: StatusCode,
        body: hyper::body::Incoming,
        asked: Duration,
    ) -> Result<Answer, UpstreamError> {
        // Of a response with `no-transform`, too: the coding is there because it was asked for.
        let coding = BodyCoding::of(fields).ok_or(UpstreamError::Bad(BadAnswer::Coding))?;
        let (bytes, share) = self.bodies.read(body, coding).await.map_err(UpstreamError::Bad)?;
        Answer::judge(status, fields, bytes, share, asked)
    }

    fn request(&self, order: &Order, key: &Secret) -> Request<Empty<Bytes>> {
        let mut request = Request::new(Empty::new());
        *request.uri_mut() = self.url.join(&order.file.versions_path());
        let fields = request.headers_mut();
        fields.insert(AUTHORIZATION, key.basic_authorization());
        fields.insert(ACCEPT, HeaderValue::from_static("application/json"));
        fields.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        fields.insert(USER_AGENT, AGENT);
        fields.insert(VIA, THIS_GATEWAY);
        if let Some(trace) = order.trace {
            fields.insert(TRACEPARENT, trace.to_field_value(fastrand::u64(..)));
        }
        request
    }

    /// The pool, or a new one in its place. What is under way on the old one ends there.
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

impl Exchange for Transport {
    async fn exchange(&self, order: &Order, key: &Secret, now: Duration) -> Exchanged {
        let mut request = self.request(order, key);
        let (pool, connection) = (self.pool(now), capture_connection(&mut request));
        let response = match pool.http.request(request).await {
            Ok(response) => response,
            Err(error) => {
                let answer = Err(failed(error, pool.was_used(&connection)));
                return Exchanged { answer, window: None, pause: None };
            }
        };
        pool.note_used(&connection);
        let (head, body) = response.into_parts();
        let rate = RateFields::of(&head.headers, self.clock.wall());
        let answer = match head.status {
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
        // What stands before the upstream may have limits of its own.
        let is_its_own = matches!(answer, Ok(_) | Err(UpstreamError::Busy { .. }));
        let pause = match &answer {
            Err(UpstreamError::Busy { wait, .. }) => Some(*wait),
            // Without a time it is tried again as configured.
            Err(UpstreamError::Bad(BadAnswer::Status {
                status: StatusCode::SERVICE_UNAVAILABLE,
            })) => rate.wait(),
            _ => None,
        };
        Exchanged { answer, window: rate.window().filter(|_| is_its_own), pause }
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
    // A plain upstream on loopback must not depend on the machine's certificates.
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

/// A call that ended before a response began.
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
