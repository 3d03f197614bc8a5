//! One connection, from accept to close.

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
use super::io::{Inbound, Outbound};
use super::tls::HTTP_2;
use super::{Drain, Server, ServerSettings, Service, http1, http2};

/// Serves one connection until its end, or until it has to end.
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
    // What TLS needs is much more, and only needed where it is spoken.
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

/// `None`: there is nobody to talk to.
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
            tracing::debug!(%error, %peer, "no TLS handshake");
            Refused::Handshake.emit();
            None
        }
        Err(_elapsed) => {
            Deadline::Handshake.emit();
            None
        }
    }
}

/// How long a connection keeps its buffers once it is idle. Longer serves clients that are soon back;
/// shorter frees memory of those that only keep a connection.
const BUFFERS_FREED_AFTER: Duration = Duration::from_secs(1);

/// A connection in one of the protocols.
pub(super) trait Served {
    /// Goes on with it.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<hyper::Result<()>>;

    /// Says, as soon as the protocol allows, that this is the end of it. What is asked until
    /// then is answered. Whether that was all there is to say.
    fn leave(&mut self) -> bool;

    /// Takes nothing more.
    fn close(&mut self);

    fn socket(&self) -> &SocketActivity;

    /// Whether it holds buffers that it could do without while it is idle.
    fn holds_buffers(&self) -> bool {
        false
    }

    /// Frees them.
    fn free_buffers(&mut self) {}
}

/// How a connection ended.
pub(super) enum End {
    Closed(hyper::Result<()>),
    /// The drain has waited long enough.
    Cut,
    Due(Deadline),
}

/// What a turn of a connection came to.
enum Turn {
    Ended(End),
    Leave,
    Due(Deadline),
    HeardOut,
    FreeBuffers,
}

/// Drives a connection to its end, which it does not put off beyond its deadlines and the drain's.
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
        // waker is the task's, so it is enough to leave it behind once and to look at the flags.
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
            // The first time, whoever is there is told in the protocol's way.
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

/// What is due now of a connection that waits; else when something is.
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
