//! Admin listener for operators: health checks, metrics, cache purge, statistics and dashboard.
//!
//! It is separate from the public listener, so that it can be bound to an address that only
//! operators can reach. `guard` checks every request before any operation runs.

mod cache_api;
mod dashboard;
mod guard;
mod ready;
mod stats;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::header::{
    ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, DATE, WWW_AUTHENTICATE,
    X_CONTENT_TYPE_OPTIONS,
};
use http::request::Parts;
use http::{HeaderValue, Method, Request, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use serde::Serialize;

use dashboard::Asset;
use guard::{Access, Refusal};
pub use guard::{AdminSettings, Exposure};
pub use ready::Readiness;

use crate::cache::Cache;
use crate::clock::Clock;
use crate::cluster::{Cluster, ClusterState};
use crate::gateway::Gateway;
use crate::message::date_value;
use crate::secret::PrivateKey;
use crate::server::{Answering, Drain, Reply, Service, TlsSlot, Unreadable, reply};
use crate::telemetry::{ClusterReadings, Exposition, Log, Metrics, Most, Readings};
use crate::upstream::{BreakerState, UpstreamError};

/// Pause before the metrics are read. An exchange is counted after its connection has written the
/// response. Without the pause, a caller that scrapes right after its response misses that
/// exchange.
const SETTLE: Duration = Duration::from_millis(2);

/// Service behind the admin listener, with access to the parts that it shows or changes.
pub struct Admin {
    pub settings: AdminSettings,
    pub gateway: Arc<Gateway>,
    pub metrics: Arc<Metrics>,
    pub log: Option<Arc<Log>>,
    pub key: Arc<PrivateKey>,
    pub readiness: Readiness,
    /// TLS settings of the public listener.
    pub tls: TlsSlot,
    /// Connections of the public listener, and whether they drain.
    pub drain: Drain,
    /// Upper limits of the counted resources.
    pub most: Most,
    /// Configuration in force, in the form of a configuration file, without secrets.
    pub config: ArcSwap<toml::Table>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Operation<'a> {
    Asset(Asset),
    Cache,
    CacheOf(&'a str),
    Config,
    Description,
    Live,
    Metrics,
    Ready,
    Stats,
}

/// OpenAPI description of the public and the admin listener.
const DESCRIPTION: &[u8] = include_bytes!("openapi.json");

impl Service for Admin {
    type Data = Bytes;
    type Body = Full<Bytes>;
    type Begun = ();

    fn call(
        self: &Arc<Self>,
        request: Request<Incoming>,
        _peer: SocketAddr,
        _begun: Option<()>,
    ) -> Answering<Full<Bytes>> {
        let (head, _body) = request.into_parts();
        let admin = Arc::clone(self);
        Answering::Later(Box::pin(async move { admin.reply(&head).await }))
    }

    fn refuse(&self, _: SocketAddr, refused: Unreadable, _: Option<()>) -> Option<Reply> {
        let (code, message, help) = match refused {
            Unreadable::Malformed => {
                ("bad_request", "The head cannot be parsed.", "Send HTTP/1.1.")
            }
            Unreadable::TimedOut => {
                ("request_timeout", "The head did not arrive in time.", "Try again.")
            }
            Unreadable::TooLong => {
                ("too_large", "The head has too many bytes or fields.", "Send fewer fields.")
            }
        };
        let mut reply = guarded(problem(refused.status(), code, message, help));
        reply.headers_mut().insert(DATE, date_value(self.clock().unix_time()));
        Some(reply)
    }
}

/// Adds the security fields that browsers read, and `Cache-Control: no-store`.
fn guarded(mut reply: Reply) -> Reply {
    let fields = reply.headers_mut();
    fields.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    fields.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // The dashboard sets its own policy.
    let policy = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
    fields.entry(CONTENT_SECURITY_POLICY).or_insert(policy);
    reply
}

impl Admin {
    async fn reply(&self, head: &Parts) -> Reply {
        guarded(self.answer(head).await)
    }

    async fn answer(&self, head: &Parts) -> Reply {
        let operation = operation_of(head.uri.path());
        let access = match operation {
            Some(Operation::Live | Operation::Ready) => Access::Health,
            Some(Operation::Metrics) => Access::Metrics,
            _ if matches!(head.method, Method::GET | Method::HEAD) => Access::Read,
            _ => Access::Mutate,
        };
        if let Err(refusal) = guard::check(&self.settings, head, access) {
            return refused(refusal);
        }
        let get = matches!(head.method, Method::GET | Method::HEAD);
        let delete = head.method == Method::DELETE;
        match operation {
            None => problem(
                StatusCode::NOT_FOUND,
                "no_route",
                "The admin listener does not serve that path.",
                "It serves /, /livez, /readyz, /metrics, /api/cache, /api/cache/{fileId}, /api/config, \
                 /api/stats and /openapi.json.",
            ),
            Some(Operation::Live) if get => text(StatusCode::OK, "ok\n"),
            Some(Operation::Ready) if get => self.readiness.answer(&self.key, &self.drain).await,
            Some(Operation::Metrics) if get => self.expose(head).await,
            Some(Operation::Config) if get => json(StatusCode::OK, &**self.config.load()),
            Some(Operation::Asset(asset)) if get => asset.reply(),
            Some(Operation::Description) if get => {
                reply(StatusCode::OK, "application/json", DESCRIPTION)
            }
            Some(Operation::Stats) if get => stats::show(self),
            Some(Operation::CacheOf(id)) if get => cache_api::show(self, id),
            Some(Operation::CacheOf(id)) if delete => {
                cache_api::purge(self, Some(id), &head.uri).await
            }
            Some(Operation::Cache) if delete => cache_api::purge(self, None, &head.uri).await,
            Some(Operation::Cache) => not_allowed("DELETE"),
            Some(Operation::CacheOf(_)) => not_allowed("GET, HEAD, DELETE"),
            Some(
                Operation::Asset(_)
                | Operation::Config
                | Operation::Description
                | Operation::Live
                | Operation::Metrics
                | Operation::Ready
                | Operation::Stats,
            ) => not_allowed("GET, HEAD"),
        }
    }

    async fn expose(&self, head: &Parts) -> Reply {
        tokio::time::sleep(SETTLE).await;
        let accept = head.headers.get_all(ACCEPT).iter().map(HeaderValue::as_bytes);
        let exposition = Exposition::accepted(&accept.collect::<Vec<_>>());
        let series = self.metrics.expose(&self.readings(), exposition);
        reply(StatusCode::OK, exposition.content_type(), series)
    }

    /// Adds one sample of all metrics to the history of `/api/stats`.
    pub fn sample(&self) {
        let scraped = self.metrics.expose(&self.readings(), Exposition::Prometheus);
        self.metrics.note(&scraped, self.clock().monotonic(), self.clock().unix_time());
    }

    fn readings(&self) -> Readings {
        let (cache_entries, cache_bytes) = self.cache().usage();
        Readings {
            cache_entries,
            cache_bytes,
            cache_evictions: self.cache().evictions(),
            fills_in_progress: self.cache().fills_in_progress(),
            connections: self.drain.connections(),
            tracked_callers: self.gateway.policy.load().limits.tracked_callers(),
            most: self.most,
            budget_available: self.gateway.upstream.budget_available(),
            breaker_state: match self.gateway.upstream.breaker_state(self.clock().monotonic()) {
                BreakerState::Closed => 0,
                BreakerState::HalfOpen => 1,
                BreakerState::Open => 2,
            },
            private_key_age: match self.key.written() {
                Some(written) => self.clock().wall().duration_since(written).unwrap_or_default(),
                None => self.clock().uptime(),
            }
            .as_secs(),
            tls_expires_in: self.tls.load().as_ref().map(|tls| {
                let seconds =
                    |since_1970: Duration| i64::try_from(since_1970.as_secs()).unwrap_or(i64::MAX);
                seconds(tls.expires()) - seconds(self.clock().unix_time())
            }),
            cluster: self
                .gateway
                .cluster
                .as_ref()
                .map(|cluster| cluster_readings(cluster))
                .unwrap_or_default(),
            dropped_log_lines: self.log.as_ref().map_or(0, |log| log.dropped_lines()),
        }
    }

    fn cache(&self) -> &Cache<Arc<UpstreamError>> {
        &self.gateway.cache
    }

    fn clock(&self) -> &Clock {
        &self.gateway.clock
    }
}

fn cluster_readings(cluster: &Cluster) -> ClusterReadings {
    let status = cluster.status();
    ClusterReadings {
        state: match status.state {
            ClusterState::Connected => 1,
            ClusterState::CutOff => 2,
        },
        nodes: status.nodes,
        lag: status.lag.as_secs_f64(),
        clock_skew: status.clock_skew,
        pending_purges: status.pending_purges,
        resets: status.resets,
    }
}

fn operation_of(path: &str) -> Option<Operation<'_>> {
    match path {
        "/livez" => Some(Operation::Live),
        "/readyz" => Some(Operation::Ready),
        "/metrics" => Some(Operation::Metrics),
        "/api/cache" => Some(Operation::Cache),
        "/api/config" => Some(Operation::Config),
        "/api/stats" => Some(Operation::Stats),
        "/openapi.json" => Some(Operation::Description),
        _ => match path.strip_prefix("/api/cache/") {
            Some(id) => Some(Operation::CacheOf(id)),
            None => Asset::at(path).map(Operation::Asset),
        },
    }
}

fn refused(refusal: Refusal) -> Reply {
    let mut reply = match refusal {
        Refusal::Foreign => problem(
            StatusCode::FORBIDDEN,
            "forbidden",
            "A page of another origin may not change anything here.",
            "Use the dashboard, curl or `ikgate purge`.",
        ),
        Refusal::Host => problem(
            StatusCode::MISDIRECTED_REQUEST,
            "misdirected",
            "The admin listener does not accept the Host of this request.",
            "Use an IP address or localhost, or list the name under admin.hosts.",
        ),
        Refusal::Token => problem(
            StatusCode::UNAUTHORIZED,
            "unauthorized",
            "This operation needs the admin token.",
            "Send 'Authorization: Bearer TOKEN'; the token is in the file named by \
             admin.token_file.",
        ),
    };
    if refusal == Refusal::Token {
        reply.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    reply
}

fn not_allowed(allowed: &'static str) -> Reply {
    let mut reply = problem(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        "The path does not support this method.",
        "Use a method that the Allow field lists.",
    );
    reply.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    reply
}

fn problem(status: StatusCode, code: &str, message: &str, help: &str) -> Reply {
    #[derive(Serialize)]
    struct Body<'a> {
        message: &'a str,
        help: &'a str,
        code: &'a str,
    }
    json(status, &Body { message, help, code })
}

fn json(status: StatusCode, body: &impl Serialize) -> Reply {
    let mut body = serde_json::to_vec(body).expect("our own structs always serialise");
    body.push(b'\n');
    reply(status, "application/json; charset=utf-8", body)
}

fn text(status: StatusCode, body: &'static str) -> Reply {
    reply(status, "text/plain; charset=utf-8", body)
}
