//! Running gateway: its start, with all listeners and background tasks, and its shutdown.
//!
//! All sockets are bound before any task starts. A port that is in use therefore fails the start,
//! and no part of the gateway is left running.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use tokio::task::JoinHandle;

use super::listeners::{Listeners, StartError};
use super::warnings::log_warnings;
use super::{build, fleet, watch};
use crate::admin::{Admin, Readiness};
use crate::clock::{Clock, Ticks};
use crate::config::Settings;
use crate::gateway::Gateway;
use crate::jwks::KeyRefresher;
use crate::server::{Drain, DrainEnd, PassedSockets, Server, ServerSettings, TlsSlot};
use crate::telemetry::{GaugeLimits, HISTORY_INTERVAL, Log, Metrics};

/// Time that open admin connections have to finish after the public ones have ended.
const ADMIN_GRACE: Duration = Duration::from_secs(1);

/// Time limit for the error responses to callers that still wait when the grace period has ended.
const LAST_RESPONSES: Duration = Duration::from_secs(1);

/// Running gateway, with its listeners and background tasks.
pub struct App {
    pub public: Vec<SocketAddr>,
    pub admin: SocketAddr,
    public_drain: Drain,
    admin_drain: Drain,
    pub(super) parts: Parts,
    /// Settings in force.
    pub(super) settings: Settings,
    /// Task that fetches the keys of the identity provider.
    pub(super) provider_keys: KeyRefresher,
}

/// Parts that run behind the listeners.
pub(super) struct Parts {
    pub(super) gateway: Arc<Gateway>,
    pub(super) admin: Arc<Admin>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) tls: TlsSlot,
    /// Fleet task. It ends after it has told the other gateways that this one leaves.
    fleet: Option<JoinHandle<()>>,
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
        log_warnings(&settings);
        let listeners = Listeners::open(&settings.public.listen, settings.admin.listen, passed)?;
        let labels = metrics.label_callers(settings.caller_names());
        let gateway = build::gateway(settings.clone(), labels, clock)?;
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
            limits: GaugeLimits {
                cache_bytes: settings.cache.max_bytes,
                connections: settings.public.server.max_connections,
                tracked_callers: settings.access.limits.max_tracked_callers,
            },
            config: ArcSwap::from_pointee(settings.effective.clone()),
            reload_refused: ArcSwapOption::empty(),
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
        let ticks = clock.every(watch::INTERVAL);
        let watched = (Arc::clone(&gateway), key, Arc::clone(&tls));
        tokio::spawn(watch::watch(watched, clock.clone(), ticks, admin_drain.clone()));
        let mut provider_keys = KeyRefresher::default();
        provider_keys.follow(gateway.provider_keys(), clock);
        let ticks = clock.every(HISTORY_INTERVAL);
        tokio::spawn(sample(Arc::clone(&admin), ticks, admin_drain.clone()));
        let fleet = gateway.cluster.clone().map(|cluster| {
            tokio::spawn(fleet::run_membership(Arc::clone(&gateway), cluster, admin_drain.clone()))
        });
        Ok(Self {
            public: addresses,
            admin: admin_address,
            public_drain,
            admin_drain,
            parts: Parts { gateway, admin, metrics, tls, fleet },
            settings,
            provider_keys,
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
            self.public_drain.finish(LAST_RESPONSES).await;
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

/// Samples the metrics at each tick for the history of `/api/stats`, until the gateway drains.
async fn sample(admin: Arc<Admin>, mut ticks: Ticks, drain: Drain) {
    loop {
        admin.sample();
        tokio::select! {
            () = ticks.tick() => {}
            () = drain.begun() => return,
        }
    }
}
