//! One connection, from accept to close.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::drain::Signal;
use super::io::Gathering;
use super::{Drain, ServerSettings, Service};

/// hyper refuses a smaller buffer than this.
const HYPER_BUFFER_MIN: usize = 8 * 1024;

/// Serves one connection until its end, or until the drain lets it finish or cuts it.
pub(super) async fn serve<S: Service>(
    stream: TcpStream,
    peer: SocketAddr,
    service: &Arc<S>,
    settings: ServerSettings,
    drain: &Drain,
) {
    // Answers are written whole; waiting to fill a packet only delays them.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "no TCP_NODELAY");
    }
    let answer = |request| Arc::clone(service).call(request, peer);
    let connection = http1::Builder::new()
        // On, it holds back an answer while more input is buffered, a stray CRLF included.
        .pipeline_flush(false)
        // hyper's would close idle connections too.
        .header_read_timeout(None)
        .max_buf_size(settings.max_head_bytes.max(HYPER_BUFFER_MIN))
        .serve_connection(TokioIo::new(Gathering::new(stream)), service_fn(answer));
    let mut connection = pin!(connection);
    let (begun, cut) = drain.signals();
    let Some(ended) = until(connection.as_mut(), begun).await else {
        connection.as_mut().graceful_shutdown();
        if let Some(Err(error)) = until(connection.as_mut(), cut).await {
            tracing::debug!(%error, %peer, "connection ended early while draining");
        }
        return;
    };
    if let Err(error) = ended {
        tracing::debug!(%error, %peer, "connection ended early");
    }
}

/// Drives `work` to its end, or until the signal is given.
///
/// A `select!` would poll the signal's future, and take its lock, on each turn of a connection.
/// Its waker is the task's, so it is enough to leave that behind once and to look at the flag.
async fn until<F: Future>(mut work: Pin<&mut F>, signal: &Signal) -> Option<F::Output> {
    let mut given = pin!(signal.given());
    let mut waker_left = false;
    poll_fn(|context| {
        if !waker_left {
            waker_left = true;
            if given.as_mut().poll(context).is_ready() {
                return Poll::Ready(None);
            }
        }
        if signal.is_given() {
            return Poll::Ready(None);
        }
        work.as_mut().poll(context).map(Some)
    })
    .await
}
