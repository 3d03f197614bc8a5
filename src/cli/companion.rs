//! Companion servers of the gateway for local use: the sandbox and the demo page.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::failure::Failure;
use crate::server::{self, Drain, Listener, Server, ServerSettings, Service};

const CONNECTIONS_MAX: usize = 1024;

/// Time that requests have to finish when the server stops.
const GRACE: Duration = Duration::from_secs(1);

/// Bound listener that does not serve requests yet.
pub(super) struct Bound {
    pub(super) address: SocketAddr,
    listener: Listener,
}

/// Running companion server.
pub(super) struct Companion(Drain);

impl Bound {
    /// Binds `listen`. `what` names the server in the error message. Must be called within a Tokio
    /// runtime.
    pub(super) fn new(listen: SocketAddr, what: &str) -> Result<Self, Failure> {
        let failed = |error| Failure::Run(format!("{what} cannot listen on {listen}: {error}"));
        let listener = server::bind(listen).map_err(failed)?;
        Ok(Self { address: listener.local_addr().map_err(failed)?, listener })
    }

    pub(super) fn serve<S: Service>(self, service: Arc<S>) -> Companion {
        let drain = Drain::default();
        let limits = ServerSettings {
            max_connections: CONNECTIONS_MAX,
            max_connections_per_ip: CONNECTIONS_MAX,
            ..ServerSettings::internal()
        };
        Server::new(service, limits, drain.clone()).listen(vec![self.listener]);
        Companion(drain)
    }
}

impl Companion {
    pub(super) async fn stop(&self) {
        self.0.finish(GRACE).await;
        self.0.cut().await;
    }
}
