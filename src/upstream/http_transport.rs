//! HTTP transport: one exchange with the upstream over a pooled connection.
//!
//! It adds the private key and reads the body within its limit. Only two things of a caller's
//! request enter the upstream request: the validated file id, and the trace context from a trusted
//! proxy. So nothing else of it can leak upstream. Redirects are not followed and proxy variables
//! are not read: the key goes to the configured host or nowhere.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, USER_AGENT, VIA};
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use http_body_util::Empty;
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::capture_connection;
use rustls::ClientConfig;

use super::body::{BodyCoding, BodyMemory};
use super::error::{BadAnswer, UpstreamError};
use super::pool::{Pool, UpstreamStartError, tls};
use super::rate_fields::RateFields;
use super::response::UpstreamResponse;
use super::settings::UpstreamSettings;
use super::transport::{CallResult, FetchRequest, Transport};
use super::url::UpstreamUrl;
use crate::clock::Clock;
use crate::message::trace_context::TRACEPARENT;
use crate::secret::Secret;

/// Wait that is reported to callers if a 429 states none.
const BUSY_WAIT: Duration = Duration::from_secs(1);

/// Value of `Via` (RFC 9110 section 7.6.3).
const THIS_GATEWAY: HeaderValue = HeaderValue::from_static("1.1 ikgate");

const AGENT: HeaderValue = HeaderValue::from_static(concat!("ikgate/", env!("CARGO_PKG_VERSION")));

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

impl HttpTransport {
    pub(super) fn new(
        settings: &UpstreamSettings,
        clock: Clock,
    ) -> Result<Self, UpstreamStartError> {
        let tls = tls(settings)?;
        let (connect_timeout, idle_max) = (settings.connect_timeout, settings.max_concurrency);
        let pool = Pool::new(clock.monotonic(), tls.clone(), connect_timeout, idle_max);
        Ok(Self {
            url: settings.url.clone(),
            connect_timeout,
            idle_max,
            tls,
            pool: ArcSwap::from_pointee(pool),
            bodies: BodyMemory::new(settings.max_inflight_bytes, settings.max_response_bytes),
            clock,
        })
    }

    async fn read(
        &self,
        fields: &HeaderMap,
        status: StatusCode,
        body: hyper::body::Incoming,
        sent: Duration,
    ) -> Result<UpstreamResponse, UpstreamError> {
        // Decoded even with `no-transform`: the coding is there because the gateway requested it.
        let coding = BodyCoding::of(fields).ok_or(UpstreamError::Bad(BadAnswer::Coding))?;
        let (bytes, share) = self.bodies.read(body, coding).await.map_err(UpstreamError::Bad)?;
        UpstreamResponse::judge(status, fields, bytes, share, sent)
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
        if !pool.is_too_old(now) {
            return pool;
        }
        let pool = Pool::new(now, self.tls.clone(), self.connect_timeout, self.idle_max);
        let pool = Arc::new(pool);
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
            // Without Retry-After, the call is retried as configured.
            Err(UpstreamError::Bad(BadAnswer::Status {
                status: StatusCode::SERVICE_UNAVAILABLE,
            })) => rate.retry_after.and_then(|_| rate.wait()),
            _ => None,
        };
        CallResult { response, window: rate.window().filter(|_| is_its_own), pause }
    }
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
