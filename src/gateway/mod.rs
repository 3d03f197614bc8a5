//! Request pipeline: takes one request through all stages to its response. Only this module knows
//! the order of the stages.
//!
//! `decide` is the synchronous half, for what the request's head alone decides. `rest` is the
//! asynchronous half, for bodies and fills. Every response leaves through one function, which adds
//! its fields.

mod decide;
mod fast_path;
mod fills;
mod policy;
mod request_body;
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
use crate::limit::QuotaStatus;
use crate::message::{HeadFault, RequestHead};
use crate::response::{self, Answer, Facts};
use crate::route::Operations;
use crate::upstream::{Upstream, UpstreamError};
use decide::Decision;
pub use fast_path::{Attempt, Begun, Hit};
pub use policy::{Policy, PolicySettings};
pub use webhook::WebhookEntrance;

/// Gateway: all state that requests pass through, shared by all connections.
pub struct Gateway {
    pub clock: Clock,
    pub operations: Operations,
    /// `None`: webhooks are not accepted.
    pub webhooks: Option<WebhookEntrance>,
    pub proxies: Proxies,
    /// Replaced as a whole by a reload. A request keeps the policy that it began with.
    pub policy: ArcSwap<Policy>,
    pub cache: Arc<Cache<Arc<UpstreamError>>>,
    pub upstream: Upstream,
    /// `None`: this gateway has no fleet.
    pub cluster: Option<Arc<Cluster>>,
    pub invalidator: Invalidator,
    /// Longest wait of a caller for the upstream.
    pub request_timeout: Duration,
    /// Tasks of fills. A fill outlives the request that started it, but not the process.
    pub fills: TaskTracker,
    /// Cancelled late in a drain: requests that still wait for a fill are then answered with 503
    /// `shutting_down`.
    pub closing: CancellationToken,
    /// Permits for compression tasks. Their number leaves processors free for other work.
    pub encoders: Semaphore,
}

/// Request body. A webhook's body is read; any other body is discarded.
pub trait GatewayBody: Body<Data: Send, Error: Into<BodyError>> + Unpin + Send + 'static {}

type BodyError = Box<dyn std::error::Error + Send + Sync>;

impl<B: Body<Data: Send, Error: Into<BodyError>> + Unpin + Send + 'static> GatewayBody for B {}

/// Future of a response that has to be waited for. Boxed, so that the future of a hit stays small.
pub type Later = Pin<Box<dyn Future<Output = Response<ExchangeBody>> + Send>>;

/// Facts that the stages have found out about one request.
struct RequestContext {
    exchange: Box<Exchange>,
    policy: Guard<Arc<Policy>>,
    cache: Option<CacheStatus>,
    /// The caller and its quota's status, once the request has been charged to the quota.
    quota: Option<(Caller, QuotaStatus)>,
}

impl Gateway {
    /// Answers one request, at once if its head alone decides. `begun` is the request as
    /// [`Gateway::try_hit`] has decided on it already, if it has.
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
                // A borrowed guard takes one of its thread's few slots, and this future may live
                // long.
                context.policy = Guard::from_inner(Arc::clone(&context.policy));
                let gateway = Arc::clone(self);
                ControlFlow::Continue(Box::pin(rest::finish(gateway, rest, parts, body, context)))
            }
        }
    }

    /// Answers a head that could not be read. `begun` is set if the fast path's parser could read
    /// the head and hyper's could not.
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

    /// Returns whether this gateway may miss purges of the other gateways.
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

    /// Returns the facts that every response states. Notes the cache's outcome in the exchange.
    fn facts(&mut self) -> Facts<'_> {
        let code = self.exchange.code;
        let cache = self.cache.unwrap_or(CacheStatus::NotConsulted { code });
        self.exchange.cache = cache.into();
        let quota = self.quota.as_ref().map(|(caller, quota_status)| (caller, *quota_status));
        self.policy.facts(&self.exchange, cache, quota)
    }
}
