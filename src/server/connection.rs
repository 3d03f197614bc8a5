//! One connection, from accept to close.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

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
    let answer = |request| {
        let service = Arc::clone(service);
        async move { Ok::<_, Infallible>(service.call(request, peer).await) }
    };
    let connection = http1::Builder::new()
        // On, it holds back an answer while more input is buffered, a stray CRLF included.
        .pipeline_flush(false)
        // hyper's would close idle connections too.
        .header_read_timeout(None)
        .max_buf_size(settings.max_head_bytes.max(HYPER_BUFFER_MIN))
        .serve_connection(TokioIo::new(stream), service_fn(answer));
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = drain.begun() => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                ended = connection.as_mut() => ended,
                () = drain.cut() => return,
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, %peer, "connection ended early");
    }
}
