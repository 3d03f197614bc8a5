//! Server: accepts the connections of its listeners and serves them.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpStream;

use super::connection_permits::{ConnectionPermit, ConnectionPermits};
use super::drain::Drain;
use super::listen::Listener;
use super::service::Service;
use super::settings::ServerSettings;
use super::tls::TlsSlot;
use super::{connection, listen};

/// Server of one or more listeners that share one connection limit and end together.
pub struct Server<S> {
    service: Arc<S>,
    settings: ServerSettings,
    permits: ConnectionPermits,
    drain: Drain,
    tls: TlsSlot,
}

impl<S: Service> Server<S> {
    /// Builds a server without TLS.
    pub fn new(service: Arc<S>, settings: ServerSettings, drain: Drain) -> Arc<Self> {
        Self::with_tls(service, settings, drain, TlsSlot::default())
    }

    /// Builds a server that speaks TLS while the slot holds a certificate.
    pub fn with_tls(
        service: Arc<S>,
        settings: ServerSettings,
        drain: Drain,
        tls: TlsSlot,
    ) -> Arc<Self> {
        let permits = ConnectionPermits::new(&settings);
        Arc::new(Self { service, settings, permits, drain, tls })
    }

    /// Accepts connections until the drain begins, in a task of its own.
    pub fn listen(self: &Arc<Self>, listeners: Vec<Listener>) {
        self.drain.accept(Arc::clone(self).accept(listeners));
    }

    async fn accept(self: Arc<Self>, listeners: Vec<Listener>) {
        loop {
            tokio::select! {
                next = listen::next_connection(&listeners, &self.permits) => self.serve(next),
                () = self.drain.begun() => break,
            }
        }
        for last in listen::last_connections(listeners, &self.permits) {
            self.serve(last);
        }
    }

    fn serve(self: &Arc<Self>, (stream, peer, permit): (TcpStream, SocketAddr, ConnectionPermit)) {
        let server = Arc::clone(self);
        let acceptor = self.tls.load().as_ref().map(|tls| tls.acceptor());
        self.drain.track(async move {
            let Self { service, settings, drain, .. } = &*server;
            connection::serve(service, settings, drain, stream, peer, acceptor).await;
            drop(permit);
        });
    }
}
