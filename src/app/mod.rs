//! Application: builds the gateway from its settings, starts it, and shuts it down in order.
//!
//! All sockets are bound before any task starts. A port that is in use therefore fails the start,
//! and no part of the gateway is left running.

mod fleet;
mod listeners;
mod reload;
mod watch;

use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use http::{Request, Response};
use hyper::body::Incoming;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use listeners::Listeners;
pub use listeners::StartError;

use crate::admin::{Admin, Readiness};
use crate::cache::Cache;
use crate::clock::{Clock, Ticks};
use crate::cluster::Cluster;
use crate::config::Settings;
use crate::exchange::{CallerLabel, Delivery, ExchangeBody};
use crate::gateway::{Attempt, Begun, Gateway, Hit, Policy, WebhookEntrance};
use crate::invalidation::{Invalidator, LocalInvalidator, Webhooks};
use crate::limit::LeaseQueue;
use crate::message::HeadFault;
use crate::route::Operations;
use crate::server::{
    Answering, Drain, DrainEnd, FastPath, PassedSockets, Server, ServerSettings, Service, TlsSlot,
    Unreadable,
};
use crate::telemetry::{HISTORY_INTERVAL, Log, Metrics, Most};
use crate::upstream::{Upstream, UpstreamStartError};

/// Time that open admin connections have to finish after the public ones have ended.
const ADMIN_GRACE: Duration = Duration::from_secs(1);

/// Time limit for the last messages: error responses to callers that still wait, and the farewell
/// to the fleet.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Running gateway, with its listeners and background tasks.
pub struct App {
    pub public: Vec<SocketAddr>,
    pub admin: SocketAddr,
    public_drain: Drain,
    admin_drain: Drain,
    parts: Parts,
    /// Settings in force.
    settings: Settings,
}

/// Parts that run behind the listeners.
struct Parts {
    gateway: Arc<Gateway>,
    admin: Arc<Admin>,
    metrics: Arc<Metrics>,
    tls: TlsSlot,
    /// Fleet task. It ends after it has told the other gateways that this one leaves.
    fleet: Option<JoinHandle<()>>,
}

impl Service for Gateway {
    type Data = Delivery;
    type Body = ExchangeBody;
    type Begun = Begun;

    fn call(
        self: &Arc<Self>,
        request: Request<Incoming>,
        peer: SocketAddr,
        begun: Option<Begun>,
    ) -> Answering<ExchangeBody> {
        match self.answer(request, peer, begun) {
            ControlFlow::Break(response) => Answering::Now(response),
            ControlFlow::Continue(later) => Answering::Later(later),
        }
    }

    fn has_fast_path(&self) -> bool {
        true
    }

    fn try_hit(
        self: &Arc<Self>,
        received: &[u8],
        peer: SocketAddr,
        close: bool,
        head: &mut Vec<u8>,
    ) -> FastPath<Delivery, Begun> {
        match Gateway::try_hit(self, received, peer, close, head) {
            Attempt::Hit(Hit { body, length, close }) => FastPath::Hit { body, length, close },
            Attempt::Begun(begun) => FastPath::Other(Some(begun)),
            Attempt::NotPlain => FastPath::Other(None),
        }
    }

    fn refuse(
        &self,
        peer: SocketAddr,
        refused: Unreadable,
        begun: Option<Begun>,
    ) -> Option<Response<ExchangeBody>> {
        let fault = match refused {
            Unreadable::Malformed => HeadFault::Malformed,
            Unreadable::TimedOut => HeadFault::TimedOut,
            Unreadable::TooLong => HeadFault::TooLong,
        };
        Some(self.refuse_head(peer, fault, begun))
    }
}

impl App {
    /// Binds the listeners and starts the gateway.
    ///
    /// # Errors
    ///
    /// Fails if a listener cannot be bound, or if TLS towards the upstream cannot be set up.
    pub fn start(
        settings: Settings,
        clock: &Clock,
        metrics: Arc<Metrics>,
        log: Option<Arc<Log>>,
        passed: PassedSockets,
    ) -> Result<Self, StartError> {
        let listeners = Listeners::open(&settings.public.listen, settings.admin.listen, passed)?;
        let labels = metrics.label_callers(settings.caller_names());
        let gateway = gateway(settings.clone(), labels, clock)?;
        let (public_drain, admin_drain) = (Drain::default(), Drain::default());
        let key = Arc::clone(&settings.key);
        let tls = TlsSlot::new(settings.public.tls.clone().into());
        let admin = Arc::new(Admin {
            settings: settings.admin.guard.clone(),
            gateway: Arc::clone(&gateway),
            metrics: Arc::clone(&metrics),
            log,
            key: Arc::clone(&key),
            readiness: Readiness::default(),
            tls: Arc::clone(&tls),
            drain: public_drain.clone(),
            most: Most {
                cache_bytes: settings.cache.max_bytes,
                connections: settings.public.server.max_connections,
                tracked_callers: settings.policy.limits.max_tracked_callers,
            },
            config: ArcSwap::from_pointee(settings.effective.clone()),
        });
        let limits = settings.public.server.clone();
        let server =
            Server::with_tls(Arc::clone(&gateway), limits, public_drain.clone(), Arc::clone(&tls));
        let Listeners { public, admin: (admin_address, admin_listener) } = listeners;
        let (addresses, public): (Vec<_>, Vec<_>) = public.into_iter().unzip();
        server.listen(public);
        // The admin listener has its own limits, so that public load cannot lock operators out.
        let limits = ServerSettings::internal();
        Server::new(Arc::clone(&admin), limits, admin_drain.clone()).listen(vec![admin_listener]);
        let due = clock.every(watch::INTERVAL);
        tokio::spawn(watch::watch(key, Arc::clone(&tls), due, admin_drain.clone()));
        let due = clock.every(HISTORY_INTERVAL);
        tokio::spawn(sample(Arc::clone(&admin), due, admin_drain.clone()));
        let fleet = gateway.cluster.clone().map(|cluster| {
            tokio::spawn(fleet::belong(Arc::clone(&gateway), cluster, admin_drain.clone()))
        });
        Ok(Self {
            public: addresses,
            admin: admin_address,
            public_drain,
            admin_drain,
            parts: Parts { gateway, admin, metrics, tls, fleet },
            settings,
        })
    }

    /// Shuts down in order: reports "not ready", then stops accepting connections, then lets open
    /// connections finish, and cuts those that do not finish within `shutdown_grace`.
    pub async fn shut_down(self) -> DrainEnd {
        self.public_drain.announce();
        let public = &self.settings.public;
        if !public.shutdown_delay.is_zero() {
            tokio::time::sleep(public.shutdown_delay).await;
        }
        let unfinished = self.public_drain.finish(public.shutdown_grace).await;
        if unfinished > 0 {
            self.parts.gateway.closing.cancel();
            self.public_drain.finish(LAST_WORDS).await;
        }
        self.public_drain.cut().await;
        self.parts.gateway.fills.close();
        self.admin_drain.finish(ADMIN_GRACE).await;
        self.admin_drain.cut().await;
        if let Some(fleet) = self.parts.fleet {
            _ = fleet.await;
        }
        if unfinished == 0 { DrainEnd::Finished } else { DrainEnd::Cut { connections: unfinished } }
    }
}

/// Builds the request pipeline and the parts behind it, without listeners.
///
/// `labels` are the metric labels of the configured callers, in the order of the configuration.
///
/// # Errors
///
/// Fails if TLS towards the upstream cannot be set up.
pub fn gateway(
    settings: Settings,
    labels: Vec<CallerLabel>,
    clock: &Clock,
) -> Result<Arc<Gateway>, UpstreamStartError> {
    let request_timeout = settings.upstream.request_timeout;
    let cache = Cache::new(&settings.cache);
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let encoders = cores.div_ceil(2);
    let local = LocalInvalidator::new(Arc::clone(&cache), clock.clone());
    let lease_queue = settings.cluster.is_some().then(Arc::<LeaseQueue>::default);
    let cluster = settings.cluster.zip(lease_queue.clone());
    let cluster = cluster
        .map(|(settings, lease_queue)| Cluster::new(&settings, local.clone(), lease_queue, clock));
    let bus = cluster.as_ref().map(|cluster| cluster.bus());
    let invalidator = Invalidator::new(local, bus);
    Ok(Arc::new(Gateway {
        clock: clock.clone(),
        operations: Operations {
            base_path: settings.public.base_path,
            webhooks: settings.webhooks.is_some(),
        },
        webhooks: settings.webhooks.map(|settings| {
            WebhookEntrance::new(Webhooks::new(settings, invalidator.clone(), clock.clone()))
        }),
        invalidator,
        cluster,
        proxies: settings.public.proxies,
        policy: ArcSwap::from_pointee(Policy::new(
            settings.policy,
            labels,
            lease_queue.clone(),
            clock,
        )),
        cache,
        upstream: Upstream::new(&settings.upstream, settings.key, lease_queue, clock.clone())?,
        request_timeout,
        fills: TaskTracker::new(),
        closing: CancellationToken::new(),
        encoders: Semaphore::new(encoders),
    }))
}

/// Samples the metrics at each tick for the history of `/api/stats`, until the gateway drains.
async fn sample(admin: Arc<Admin>, mut due: Ticks, drain: Drain) {
    loop {
        admin.sample();
        tokio::select! {
            () = due.tick() => {}
            () = drain.begun() => return,
        }
    }
}
