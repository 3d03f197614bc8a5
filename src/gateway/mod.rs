//! The pipeline: one request, stage by stage. Only this room knows their order.
//!
//! `decide` is the half that a request's head alone decides; `rest` is the half that waits. Every
//! answer leaves by one way, where it gets its fields.

mod decide;
mod fast_path;
mod fills;
mod policy;
mod rest;
mod versions;
mod webhook;

use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use http::{Request, Response};
use http_body::Body;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::cache::{Cache, CacheStatus};
use crate::caller::{Caller, Proxies};
use crate::clock::Clock;
use crate::cluster::{Cluster, ClusterState};
use crate::error::GatewayError;
use crate::exchange::{Delivery, Exchange, ExchangeBody};
use crate::invalidation::Invalidator;
use crate::limit::Standing;
use crate::message::{HeadFault, RequestHead};
use crate::response::{self, Answer, Facts};
use crate::route::Operations;
use crate::upstream::{Upstream, UpstreamError};
use decide::Decision;
pub use fast_path::{Attempt, Begun, Hit};
pub use policy::{Policy, PolicySettings};
pub use webhook::WebhookEntrance;

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
    /// Fills run here, so that they outlive the request that started them but not the process.
    pub fills: TaskTracker,
    /// Cancelled when requests that still wait for a fill are to be told to go elsewhere.
    pub closing: CancellationToken,
    /// Permits to make codings, so that they leave processors for everything else.
    pub encoders: Semaphore,
}

/// Body of a request: a webhook's is read, any other is discarded.
pub trait GatewayBody: Body<Data: Send, Error: Into<BodyError>> + Unpin + Send + 'static {}

type BodyError = Box<dyn std::error::Error + Send + Sync>;

impl<B: Body<Data: Send, Error: Into<BodyError>> + Unpin + Send + 'static> GatewayBody for B {}

/// A response that has to be waited for. Boxed: the future of a hit stays small.
pub type Later = Pin<Box<dyn Future<Output = Response<ExchangeBody>> + Send>>;

/// What the stages have found out about one request.
struct RequestContext {
    exchange: Box<Exchange>,
    policy: Guard<Arc<Policy>>,
    cache: Option<CacheStatus>,
    /// The caller, once its quota was asked, and how that stands.
    quota: Option<(Caller, Standing)>,
}

impl Gateway {
    /// Answers one request: at once, if its head alone decides. `begun`: what was found out about
    /// it already, by [`Gateway::try_hit`].
    pub fn answer<B: GatewayBody>(
        self: &Arc<Self>,
        request: Request<B>,
        peer: SocketAddr,
        begun: Option<Begun>,
    ) -> ControlFlow<Response<ExchangeBody>, Later> {
        let (parts, body) = request.into_parts();
        let head = RequestHead::of(&parts, &self.proxies.field);
        let (mut context, decided) = if let Some(Begun { context, decided }) = begun {
            (context, decided)
        } else {
            let mut context = self.begin(&head, peer);
            let decided = self.decide(&head, !body.is_end_stream(), &mut context);
            (context, decided)
        };
        match decided {
            Ok(Decision::Answer(answer)) => ControlFlow::Break(context.respond(&answer, &head)),
            Err(error) => ControlFlow::Break(context.refuse(&error, &head)),
            Ok(Decision::Rest(rest)) => {
                drop(head);
                // A borrowed one takes one of its thread's few slots, and this may take long.
                context.policy = Guard::from_inner(Arc::clone(&context.policy));
                let gateway = Arc::clone(self);
                ControlFlow::Continue(Box::pin(rest::finish(gateway, rest, parts, body, context)))
            }
        }
    }

    /// Answers a head that could not be read. `begun`: the fast path's parser could, and hyper's
    /// could not.
    pub fn refuse_head(
        &self,
        peer: SocketAddr,
        fault: HeadFault,
        begun: Option<Begun>,
    ) -> Response<ExchangeBody> {
        let unread = || RequestContext {
            exchange: Exchange::unreadable(&self.clock, peer.ip()),
            policy: self.policy.load(),
            cache: None,
            quota: None,
        };
        let context = begun.map_or_else(unread, |begun| begun.context);
        context.refuse(&fault.into(), &RequestHead::unreadable())
    }

    /// Whether purges of other gateways may be missed here.
    fn is_cut_off(&self) -> bool {
        self.cluster.as_ref().is_some_and(|cluster| cluster.state() == ClusterState::CutOff)
    }
}

impl RequestContext {
    fn refuse(self, error: &GatewayError, head: &RequestHead<'_>) -> Response<ExchangeBody> {
        self.respond(&Answer::Problem(error.problem()), head)
    }

    fn respond(mut self, answer: &Answer, head: &RequestHead<'_>) -> Response<ExchangeBody> {
        self.exchange.code = match answer {
            Answer::Problem(problem) => Some(problem.code),
            Answer::Accepted | Answer::Preflight | Answer::Reusable(_) => None,
        };
        let facts = self.facts();
        let shaped = response::shape(answer, head, &facts);
        Delivery::respond(self.exchange, shaped)
    }

    /// What every response says. The exchange learns what the cache did.
    fn facts(&mut self) -> Facts<'_> {
        let code = self.exchange.code;
        let cache = self.cache.unwrap_or(CacheStatus::NotConsulted { code });
        self.exchange.cache = cache.into();
        let quota = self.quota.as_ref().map(|(caller, standing)| (caller, *standing));
        self.policy.facts(&self.exchange, cache, quota)
    }
}
