//! Life of one connection, from accept to close: TLS handshake, choice of protocol, deadlines and
//! drain.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::activity::SocketActivity;
use super::deadline::{Due, Limits, Phase, Timer, Watch};
use super::event::{Deadline, Refused};
use super::inbound::Inbound;
use super::outbound::Outbound;
use super::tls::HTTP_2;
use super::{Drain, Server, ServerSettings, Service, http1, http2};

/// Serves one connection until it ends, or until a deadline or the drain ends it.
pub(super) async fn serve<S: Service>(
    server: &Server<S>,
    stream: TcpStream,
    peer: SocketAddr,
    acceptor: Option<TlsAcceptor>,
) {
    let Server { service, settings, drain, .. } = server;
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

/// Idle time after which a connection frees its buffers. A longer one serves clients that soon
/// return; a shorter one frees memory of clients that only keep a connection open.
const BUFFERS_FREED_AFTER: Duration = Duration::from_secs(1);

/// Connection in one of the protocols.
pub(super) trait Served {
    /// Makes progress on the connection.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<hyper::Result<()>>;

    /// Announces the end of the connection as soon as the protocol allows. Requests that arrive
    /// until then are answered. Returns whether the announcement is complete.
    fn leave(&mut self) -> bool;

    /// Closes the connection to new requests.
    fn close(&mut self);

    fn socket(&self) -> &SocketActivity;

    /// Returns whether the connection holds buffers that it does not need while idle.
    fn holds_buffers(&self) -> bool {
        false
    }

    /// Frees those buffers.
    fn free_buffers(&mut self) {}
}

/// End of a connection.
pub(super) enum End {
    Closed(hyper::Result<()>),
    /// The grace period of the drain is over.
    Cut,
    Due(Deadline),
}

/// Outcome of one turn of a connection.
enum Turn {
    Ended(End),
    Leave,
    Due(Deadline),
    HeardOut,
    FreeBuffers,
}

/// Drives a connection to its end. Its deadlines and those of the drain bound that end.
pub(super) async fn drive(
    served: &mut impl Served,
    settings: &ServerSettings,
    drain: &Drain,
    phase: impl Fn() -> Phase,
) -> End {
    let now = Instant::now();
    let mut watch = Watch::new(Limits::new(settings), now);
    let mut timer = pin!(Timer::new(now));
    let (begun, cut) = drain.signals();
    let (mut given_begun, mut given_cut) = (pin!(begun.given()), pin!(cut.given()));
    let (mut wakers_left, mut closing) = (false, false);
    loop {
        // A `select!` would poll the signals' futures, and take their locks, on each turn. Their
        // waker is the task's, so it is enough to register it once and then to read the flags.
        let turn = std::future::poll_fn(|context| {
            if !wakers_left {
                wakers_left = true;
                _ = given_begun.as_mut().poll(context);
                _ = given_cut.as_mut().poll(context);
            }
            if cut.is_given() {
                return Poll::Ready(Turn::Ended(End::Cut));
            }
            if begun.is_given() && !watch.is_leaving() {
                return Poll::Ready(Turn::Leave);
            }
            if let Poll::Ready(ended) = served.poll(context) {
                return Poll::Ready(Turn::Ended(End::Closed(ended)));
            }
            let now = Instant::now();
            match due(served, &mut watch, phase(), now, closing) {
                Ok(turn) => Poll::Ready(turn),
                Err(at) => {
                    timer.as_mut().set(context, at, now);
                    Poll::Pending
                }
            }
        })
        .await;
        match turn {
            Turn::Ended(end) => return end,
            Turn::HeardOut => served.socket().heard_out(),
            Turn::FreeBuffers => served.free_buffers(),
            Turn::Leave | Turn::Due(Deadline::Age) => {
                if matches!(turn, Turn::Due(_)) {
                    Deadline::Age.emit();
                }
                watch.leave(Instant::now());
                closing |= served.leave();
            }
            // The first time, the client is told in the protocol's way.
            Turn::Due(Deadline::Idle) if !closing => {
                if !watch.is_leaving() {
                    Deadline::Idle.emit();
                }
                closing = true;
                let now = Instant::now();
                watch.leave(now);
                watch.restart(now);
                served.close();
            }
            Turn::Due(Deadline::Idle) => return End::Cut,
            Turn::Due(deadline) => {
                deadline.emit();
                return End::Due(deadline);
            }
        }
    }
}

/// Returns what is due now for a waiting connection. Otherwise returns when something will be due.
fn due(
    served: &impl Served,
    watch: &mut Watch,
    phase: Phase,
    now: Instant,
    closing: bool,
) -> Result<Turn, Instant> {
    let (at, due) = watch.look(phase, now);
    if at <= now {
        return Ok(match due {
            Due::Deadline(deadline) => Turn::Due(deadline),
            Due::HeardOut => Turn::HeardOut,
        });
    }
    if closing || !served.holds_buffers() {
        return Err(at);
    }
    let free = watch.since() + BUFFERS_FREED_AFTER;
    if free <= now { Ok(Turn::FreeBuffers) } else { Err(at.min(free)) }
}
