//! Driver of one connection in either protocol: it enforces the deadlines and the drain.

use std::pin::pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Instant;

use super::activity::SocketActivity;
use super::deadline::{Due, Limits, Phase, PhaseWatch, Timer};
use super::drain::Drain;
use super::event::Deadline;
use super::settings::ServerSettings;

/// Idle time after which a connection frees its buffers. A longer one serves clients that soon
/// return; a shorter one frees memory of clients that only keep a connection open.
const BUFFERS_FREED_AFTER: Duration = Duration::from_secs(1);

/// Connection in one of the protocols.
pub(super) trait ServedConnection {
    /// Makes progress on the connection.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<hyper::Result<()>>;

    /// Announces the end of the connection as soon as the protocol allows. Requests that arrive
    /// until then are answered. Returns whether the announcement is complete.
    fn start_draining(&mut self) -> bool;

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

/// Outcome of one step of a connection.
enum Step {
    Ended(End),
    Leave,
    Due(Deadline),
    LingerOver,
    FreeBuffers,
}

/// Drives a connection to its end. Its deadlines and those of the drain bound that end.
pub(super) async fn drive(
    served: &mut impl ServedConnection,
    settings: &ServerSettings,
    drain: &Drain,
    phase: impl Fn() -> Phase,
) -> End {
    let now = Instant::now();
    let mut watch = PhaseWatch::new(Limits::new(settings), now);
    let mut timer = pin!(Timer::new(now));
    let (begun, cut) = drain.signals();
    let (mut given_begun, mut given_cut) = (pin!(begun.given()), pin!(cut.given()));
    let (mut wakers_left, mut closing) = (false, false);
    loop {
        // A `select!` would poll the signals' futures, and take their locks, on each step. Their
        // waker is the task's, so it is enough to register it once and then to read the flags.
        let step = std::future::poll_fn(|context| {
            if !wakers_left {
                wakers_left = true;
                _ = given_begun.as_mut().poll(context);
                _ = given_cut.as_mut().poll(context);
            }
            if cut.is_given() {
                return Poll::Ready(Step::Ended(End::Cut));
            }
            if begun.is_given() && !watch.is_draining() {
                return Poll::Ready(Step::Leave);
            }
            if let Poll::Ready(ended) = served.poll(context) {
                return Poll::Ready(Step::Ended(End::Closed(ended)));
            }
            let now = Instant::now();
            match due(served, &mut watch, phase(), now, closing) {
                Ok(step) => Poll::Ready(step),
                Err(at) => {
                    timer.as_mut().set(context, at, now);
                    Poll::Pending
                }
            }
        })
        .await;
        match step {
            Step::Ended(end) => return end,
            Step::LingerOver => served.socket().end_linger(),
            Step::FreeBuffers => served.free_buffers(),
            Step::Leave | Step::Due(Deadline::Age) => {
                if matches!(step, Step::Due(_)) {
                    Deadline::Age.emit();
                }
                watch.start_draining(Instant::now());
                closing |= served.start_draining();
            }
            // The first idle deadline announces the close in the protocol; the next one cuts.
            Step::Due(Deadline::Idle) if !closing => {
                if !watch.is_draining() {
                    Deadline::Idle.emit();
                }
                closing = true;
                let now = Instant::now();
                watch.start_draining(now);
                watch.restart(now);
                served.close();
            }
            Step::Due(Deadline::Idle) => return End::Cut,
            Step::Due(deadline) => {
                deadline.emit();
                return End::Due(deadline);
            }
        }
    }
}

/// Returns what is due now for a waiting connection. Otherwise returns when something will be due.
fn due(
    served: &impl ServedConnection,
    watch: &mut PhaseWatch,
    phase: Phase,
    now: Instant,
    closing: bool,
) -> Result<Step, Instant> {
    let (at, due) = watch.look(phase, now);
    if at <= now {
        return Ok(match due {
            Due::Deadline(deadline) => Step::Due(deadline),
            Due::LingerOver => Step::LingerOver,
        });
    }
    if closing || !served.holds_buffers() {
        return Err(at);
    }
    let free = watch.since() + BUFFERS_FREED_AFTER;
    if free <= now { Ok(Step::FreeBuffers) } else { Err(at.min(free)) }
}
