//! One call: a connection from the pool, the key injected, the body read within its limit.
//!
//! Nothing of a caller's request goes into it but the validated file id, so nothing of it can
//! leak upstream. No redirect is followed and no proxy variable is read: the key goes to the
//! configured host or nowhere.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, USER_AGENT};
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use http_body_util::Empty;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::sync::Semaphore;

use super::answer::Answer;
use super::body::{BodyCoding, InFlight};
use super::error::{BadAnswer, RateFields, UpstreamError};
use super::url::UpstreamUrl;
use crate::clock::Clock;
use crate::file_id::FileId;
use crate::secret::PrivateKey;

/// Calls that may wait for one of `max_concurrency` places. More would only time out later;
/// each holds a task and its waiters.
const QUEUE_MAX: usize = 1024;

/// How long an idle connection is kept. Longer saves handshakes after quiet spells; it should
/// stay under the other side's own limit, or the first call afterwards finds it closed.
const POOL_IDLE: Duration = Duration::from_secs(30);

/// The wait told to callers where a 429 does not say.
const BUSY_WAIT: Duration = Duration::from_secs(1);

const AGENT: HeaderValue = HeaderValue::from_static(concat!("ikgate/", env!("CARGO_PKG_VERSION")));

/// Where the upstream is and what a call to it may take.
#[derive(Clone, Debug)]
pub struct UpstreamSettings {
    pub url: UpstreamUrl,
    pub connect_timeout: Duration,
    /// For a whole call, waiting for its turn included.
    pub request_timeout: Duration,
    /// Calls in flight at once.
    pub max_concurrency: usize,
    /// Longest body, in bytes, decoded.
    pub max_response_bytes: usize,
    /// Bytes of all bodies that are being read and stored. Not less than the longest body.
    pub max_inflight_bytes: usize,
}

/// Why no client could be made.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamStartError {
    #[error("no trusted root certificates were found (on Debian: package ca-certificates)")]
    NoRoots { source: Option<rustls_native_certs::Error> },
    #[error("TLS cannot be set up")]
    Tls(#[from] rustls::Error),
}

/// The upstream.
pub struct Upstream {
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
    key: Arc<PrivateKey>,
    settings: UpstreamSettings,
    in_flight: Semaphore,
    queued: Semaphore,
    bodies: InFlight,
    clock: Clock,
}

impl Upstream {
    pub fn new(
        settings: UpstreamSettings,
        key: Arc<PrivateKey>,
        clock: Clock,
    ) -> Result<Self, UpstreamStartError> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_connect_timeout(Some(settings.connect_timeout));
        tcp.set_nodelay(true);
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(tls(&settings.url)?)
            .https_or_http()
            .enable_all_versions()
            .wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(POOL_IDLE)
            .pool_max_idle_per_host(settings.max_concurrency)
            .build(connector);
        Ok(Self {
            client,
            key,
            in_flight: Semaphore::new(settings.max_concurrency),
            queued: Semaphore::new(settings.max_concurrency + QUEUE_MAX),
            bodies: InFlight::new(settings.max_inflight_bytes, settings.max_response_bytes),
            settings,
            clock,
        })
    }

    /// Asks for the version list of `id`.
    pub async fn versions(&self, id: &FileId) -> Result<Answer, UpstreamError> {
        let started = self.clock.monotonic();
        let after = self.settings.request_timeout;
        let called = tokio::time::timeout(after, self.call(id)).await;
        let answer = called.unwrap_or(Err(UpstreamError::Timeout { after }));
        let outcome = match &answer {
            Ok(answer) => answer.outcome(),
            Err(error) => error.outcome(),
        };
        let took = self.clock.monotonic().saturating_sub(started);
        tracing::info!(
            target: "ikgate.upstream",
            outcome = outcome as u64,
            duration_nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX),
        );
        answer
    }

    async fn call(&self, id: &FileId) -> Result<Answer, UpstreamError> {
        let _queued = self.queued.try_acquire().map_err(|_| UpstreamError::QueueFull)?;
        let _in_flight = self.in_flight.acquire().await.expect("the semaphore is never closed");
        let response = self.client.request(self.request(id)).await.map_err(failed)?;
        let (head, body) = response.into_parts();
        match head.status {
            StatusCode::OK | StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND => {}
            status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
                return Err(UpstreamError::Auth { status });
            }
            StatusCode::TOO_MANY_REQUESTS => return Err(busy(&head.headers)),
            status => return Err(UpstreamError::Bad(BadAnswer::Status { status })),
        }
        let coding = BodyCoding::of(&head.headers);
        let coding = coding.ok_or(UpstreamError::Bad(BadAnswer::Coding))?;
        let read = self.bodies.read(body, coding).await.map_err(UpstreamError::Bad)?;
        let (bytes, share) = read;
        Answer::judge(head.status, &head.headers, bytes, share)
    }

    fn request(&self, id: &FileId) -> Request<Empty<Bytes>> {
        let mut request = Request::new(Empty::new());
        *request.uri_mut() = self.settings.url.join(&id.versions_path());
        let fields = request.headers_mut();
        fields.insert(AUTHORIZATION, self.key.authorization());
        fields.insert(ACCEPT, HeaderValue::from_static("application/json"));
        fields.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        fields.insert(USER_AGENT, AGENT);
        request
    }
}

fn tls(url: &UpstreamUrl) -> Result<rustls::ClientConfig, UpstreamStartError> {
    let mut roots = rustls::RootCertStore::empty();
    // A plain upstream on loopback must not depend on the machine's certificates.
    if url.is_tls() {
        let mut native = rustls_native_certs::load_native_certs();
        let (added, _unusable) = roots.add_parsable_certificates(native.certs);
        if added == 0 {
            return Err(UpstreamStartError::NoRoots { source: native.errors.pop() });
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    Ok(rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

/// A call that ended before a response began.
fn failed(error: hyper_util::client::legacy::Error) -> UpstreamError {
    let cause = std::error::Error::source(&error).and_then(|source| source.downcast_ref());
    if cause.is_some_and(hyper::Error::is_parse) {
        UpstreamError::Bad(BadAnswer::Head { source: error })
    } else {
        UpstreamError::Unreachable { source: error }
    }
}

/// A 429. Its `X-RateLimit-Reset` is a duration in milliseconds, not a time.
fn busy(fields: &HeaderMap) -> UpstreamError {
    let number = |name: &str| fields.get(name)?.to_str().ok()?.trim().parse::<u64>().ok();
    UpstreamError::Busy {
        wait: number("x-ratelimit-reset").map_or(BUSY_WAIT, Duration::from_millis),
        fields: RateFields {
            limit: number("x-ratelimit-limit"),
            interval_millis: number("x-ratelimit-interval"),
        },
    }
}
