//! Life of one connection, from accept to close: TLS handshake and choice of protocol.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::activity::SocketActivity;
use super::drain::Drain;
use super::event::{Deadline, Refused};
use super::inbound::Inbound;
use super::outbound::Outbound;
use super::service::Service;
use super::settings::ServerSettings;
use super::tls::HTTP_2;
use super::{http1, http2};

/// Serves one connection until it ends, or until a deadline or the drain ends it.
pub(super) async fn serve<S: Service>(
    service: &Arc<S>,
    settings: &ServerSettings,
    drain: &Drain,
    stream: TcpStream,
    peer: SocketAddr,
    acceptor: Option<TlsAcceptor>,
) {
    let activity = Arc::<SocketActivity>::default();
    let stream = Outbound::new(stream, Arc::clone(&activity));
    let Some(acceptor) = acceptor else {
        let stream = Inbound::new(stream, activity);
        return http1::serve(stream, peer, service, settings, drain).await;
    };
    // Boxed: TLS needs much more memory, and only some listeners speak it.
    let Some(stream) = Box::pin(handshake(acceptor, stream, peer, settings, drain)).await else {
        return;
    };
    let is_http2 = stream.get_ref().1.alpn_protocol() == Some(HTTP_2);
    let stream = Inbound::new(stream, activity);
    if is_http2 {
        Box::pin(http2::serve(stream, peer, service, settings, drain)).await;
    } else {
        Box::pin(http1::serve(stream, peer, service, settings, drain)).await;
    }
}

/// Performs the TLS handshake. `None`: it failed, took too long, or the drain cut it.
async fn handshake(
    acceptor: TlsAcceptor,
    stream: Outbound,
    peer: SocketAddr,
    settings: &ServerSettings,
    drain: &Drain,
) -> Option<TlsStream<Outbound>> {
    let (_, cut) = drain.signals();
    let accepted = tokio::select! {
        accepted = tokio::time::timeout(settings.header_timeout, acceptor.accept(stream)) => accepted,
        () = cut.given() => return None,
    };
    match accepted {
        Ok(Ok(stream)) => Some(stream),
        Ok(Err(error)) => {
            tracing::debug!(%error, %peer, "TLS handshake failed, closing the connection");
            Refused::Handshake.emit();
            None
        }
        Err(_elapsed) => {
            Deadline::Handshake.emit();
            None
        }
    }
}
