//! The pipeline: one request, stage by stage. Only this room knows their order.
//!
//! Every stage either passes or ends the request with an error; there is one way out, where the
//! answer, whatever it is, gets its fields.

mod at_once;
mod fills;
mod policy;
mod versions;
mod webhook;

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use http::request::Parts;
use http::{Request, Response};
use http_body::Body;
use http_body_util::{BodyExt as _, Limited};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::cache::{Cache, CacheStatus};
use crate::caller::{Caller, Proxies};
use crate::clock::Clock;
use crate::cluster::{Cluster, ClusterState};
use crate::error::GatewayError;
use crate::exchange::{Exchange, ExchangeBody};
use crate::file_id::FileId;
use crate::invalidation::Invalidator;
use crate::limit::{Limits, Standing};
use crate::message::{HeadFault, head};
use crate::response::{self, Answer};
use crate::route::{self, Operations, Route, RouteFault, Wanted};
use crate::upstream::{Upstream, UpstreamError};
pub use policy::{Policy, PolicySettings};
use versions::Ask;
pub use webhook::WebhookEntrance;

/// How long the body of a request that needs none may take. Longer serves slow clients that send
/// one by mistake; shorter frees connections that only pretend to.
const IDLE_BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// Everything a request passes through.
pub struct Gateway {
    pub clock: Clock,
    pub operations: Operations,
    /// `None`: events are not taken.
    pub webhooks: Option<WebhookEntrance>,
    pub proxies: Proxies,
    /// Replaced as a whole; a request is held to the one that it began with.
    pub policy: ArcSwap<Policy>,
    pub cache: Arc<Cache<Arc<UpstreamError>>>,
    pub upstream: Upstream,
    /// `None`: this gateway is alone.
    pub cluster: Option<Arc<Cluster>>,
    pub invalidator: Invalidator,
    /// How long a caller waits for the upstream.
    pub request_timeout: Duration,
    /// Fills run here, so that they outlive whoever started them but not the process.
    pub fills: TaskTracker,
    /// Cancelled when those who still wait for a fill are to be told to go elsewhere.
    pub closing: CancellationToken,
    /// Turns at making codings, so that they leave processors for everything else.
    pub encoders: Semaphore,
}

/// A request's body: a webhook's is read, any other is thrown away.
pub trait GatewayBody: Body<Error: Into<BodyError>> + Unpin + Send {}

type BodyError = Box<dyn std::error::Error + Send + Sync>;

impl<B: Body<Error: Into<BodyError>> + Unpin + Send> GatewayBody for B {}

/// What the stages found out on the way, for the answer's fields.
struct Findings {
    exchange: Exchange,
    policy: Guard<Arc<Policy>>,
    cache: Option<CacheStatus>,
    standing: Option<(Caller, Standing)>,
}

impl Gateway {
    /// Whether purges of other gateways may be missed here.
    fn is_cut_off(&self) -> bool {
        self.cluster.as_ref().is_some_and(|cluster| cluster.state() == ClusterState::CutOff)
    }

    /// Answers one request.
    pub async fn handle<B: GatewayBody>(
        self: Arc<Self>,
        request: Request<B>,
        peer: SocketAddr,
    ) -> Result<Response<ExchangeBody>, Infallible> {
        let (head, body) = request.into_parts();
        let mut exchange = Exchange::start(&self.clock, peer.ip(), &head.method);
        if self.proxies.trust(peer.ip()) {
            exchange.take_word_of_proxy(&head.headers);
        }
        let mut findings =
            Findings { exchange, policy: self.policy.load(), cache: None, standing: None };
        let answer = match self.answer(&head, body, peer, &mut findings).await {
            Ok(answer) => answer,
            Err(error) => Answer::Problem(error.problem()),
        };
        Ok(Self::respond(&answer, head, findings))
    }

    async fn answer<B: GatewayBody>(
        self: &Arc<Self>,
        head: &Parts,
        body: B,
        peer: SocketAddr,
        findings: &mut Findings,
    ) -> Result<Answer, GatewayError> {
        head::check(head, self.operations.body_use(&head.uri))?;
        let route = route::find(&self.operations, &head.method, &head.uri)?;
        findings.exchange.route = (&route).into();
        let client = self.proxies.client(peer.ip(), &head.headers);
        findings.exchange.client = client;
        let (file, wanted) = match route {
            // What waits is boxed: the future of a hit stays small, and it is moved.
            Route::Webhook => {
                return Box::pin(self.take_webhook(head, body, client, &findings.policy.limits))
                    .await;
            }
            Route::Preflight => {
                Box::pin(discard(body)).await?;
                return Ok(Answer::Preflight);
            }
            Route::Read(file, wanted) => (file, wanted),
        };
        findings.exchange.file = Some(file);
        // Nothing has waited since the head was here: one reading of the clock will do.
        let mut now = findings.exchange.started;
        if !body.is_end_stream() {
            Box::pin(discard(body)).await?;
            now = self.clock.monotonic();
            findings.policy = self.policy.load();
        }
        let ask = self.admitted(head, (client, now), file, wanted, findings)?;
        let waiting = match versions::look_up(self, ask, now, findings) {
            Ok(hit) => return Ok(hit),
            Err(missed) => Box::pin(versions::fill(self, ask, missed, findings)),
        };
        waiting.await
    }

    /// What is asked for, by somebody who may.
    fn admitted<'a>(
        &self,
        head: &Parts,
        (client, now): (IpAddr, Duration),
        file: FileId,
        wanted: Wanted<'a>,
        findings: &mut Findings,
    ) -> Result<Ask<'a>, GatewayError> {
        let policy = &findings.policy;
        let caller = policy.identify(&head.headers, client, now, &self.clock)?;
        findings.exchange.caller = policy.label(&caller);
        policy.callers.may_read(&caller, &file)?;
        let (sight, priority) = (policy.sight(&caller, &file), policy.priority(&caller));
        let trace = findings.exchange.trace();
        let (standing, verdict) = policy.admit(&caller);
        findings.standing = Some((caller, standing));
        verdict?;
        Ok(Ask { file, wanted, sight, priority, trace })
    }

    async fn take_webhook<B: GatewayBody>(
        &self,
        head: &Parts,
        body: B,
        client: IpAddr,
        limits: &Limits,
    ) -> Result<Answer, GatewayError> {
        let entrance = self.webhooks.as_ref().ok_or(GatewayError::Route(RouteFault::NoRoute))?;
        entrance.take(head, body, limits.subscriber(client), limits, &self.clock).await?;
        Ok(Answer::Accepted)
    }

    fn respond(answer: &Answer, head: Parts, findings: Findings) -> Response<ExchangeBody> {
        let Findings { mut exchange, policy, cache, standing } = findings;
        exchange.code = match answer {
            Answer::Problem(problem) => Some(problem.code),
            Answer::Accepted
            | Answer::Preflight
            | Answer::Stored { .. }
            | Answer::Version { .. } => None,
        };
        let cache = cache.unwrap_or(CacheStatus::NotConsulted { code: exchange.code });
        exchange.cache = cache.into();
        let standing = standing.as_ref().map(|(caller, standing)| (caller, *standing));
        let facts = policy.facts(exchange.request_id(), cache, standing);
        exchange.respond(response::shape(answer, head, &facts))
    }
}

/// Reads a body that nobody needs, so that the connection can be used again.
async fn discard<B: GatewayBody>(body: B) -> Result<(), GatewayError> {
    let limit = usize::try_from(head::IDLE_BODY_MAX).unwrap_or(usize::MAX);
    let mut body = Limited::new(body, limit);
    let read_all = async {
        while let Some(frame) = body.frame().await {
            drop(frame.map_err(|_| GatewayError::Head(HeadFault::BodyTooLarge))?);
        }
        Ok(())
    };
    tokio::time::timeout(IDLE_BODY_TIMEOUT, read_all)
        .await
        .unwrap_or(Err(GatewayError::BodyTimeout))
}
