//! HTTP/1.1 on one connection: in turns the [`Lane`]'s, where requests are answered from memory,
//! and hyper's, which can do everything else.

mod engine;
mod lane;

use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::{Request, StatusCode};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};

use engine::{Answered, Engine};
use lane::{Lane, Turn};

use super::activity::{Activity, SocketActivity};
use super::connection::{End, Served, drive};
use super::event::Deadline;
use super::io::Inbound;
use super::{Drain, ServerSettings, Service};

/// hyper refuses a smaller buffer than this.
const HYPER_BUFFER_MIN: usize = 8 * 1024;

/// To a head that takes too long. Like hyper's own answers to heads that cannot be read, it has no
/// body: nobody is known to be listening.
const TIMED_OUT: &[u8] =
    b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

pub(super) async fn serve<I, S>(
    stream: Inbound<I>,
    peer: SocketAddr,
    service: &Arc<S>,
    settings: &ServerSettings,
    drain: &Drain,
) where
    I: AsyncRead + AsyncWrite + Unpin,
    S: Service,
{
    let activity = Arc::new(Activity::new(stream.activity(), drain.announcement()));
    let answer = |request: Request<Incoming>| {
        activity.asked();
        if !request.body().is_end_stream() {
            activity.has_body();
        }
        let answer = Arc::clone(service).call(request, peer);
        Answered { answer, activity: Arc::clone(&activity) }
    };
    let open = |stream| {
        http1::Builder::new()
            // On, it holds back an answer while more input is buffered, a stray CRLF included.
            .pipeline_flush(false)
            // hyper's would close idle connections too.
            .header_read_timeout(None)
            .max_buf_size(settings.max_head_bytes.max(HYPER_BUFFER_MIN))
            .serve_connection(TokioIo::new(stream), service_fn(answer))
    };
    let way = if service.has_at_once(peer) {
        Way::Lane(Lane::new(stream, peer, service, &activity))
    } else {
        Way::Hyper { connection: Box::new(open(stream)), until: None }
    };
    let mut served = Http1 { way, open, peer, service, activity: &activity };
    match drive(&mut served, settings, drain, || activity.phase()).await {
        End::Closed(Err(error)) => {
            tracing::debug!(%error, %peer, "connection ended early");
            if error.is_parse_too_large() {
                service.unreadable(peer, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
            } else if error.is_parse() {
                service.unreadable(peer, StatusCode::BAD_REQUEST);
            }
        }
        End::Due(Deadline::Header) => {
            service.unreadable(peer, StatusCode::REQUEST_TIMEOUT);
            let Some(mut socket) = served.way.into_socket() else { return };
            // Whoever sends so slowly may not read at all.
            let told = async {
                socket.write_all(TIMED_OUT).await?;
                socket.shutdown().await
            };
            _ = tokio::time::timeout(settings.linger, told).await;
        }
        End::Closed(Ok(())) | End::Cut | End::Due(_) => {}
    }
}

struct Http1<'a, I, S: Service, C, O> {
    way: Way<'a, I, S, C>,
    /// Hands a connection to hyper.
    open: O,
    peer: SocketAddr,
    service: &'a Arc<S>,
    activity: &'a Activity,
}

/// Who has the connection now.
enum Way<'a, I, S: Service, C> {
    Lane(Lane<'a, I, S>),
    Hyper {
        /// Apart: most of the time there is none.
        connection: Box<C>,
        /// It goes back to the lane once it is idle after another turn than this. `None`: never.
        until: Option<u32>,
    },
    /// Nobody, while it changes hands.
    Between,
}

impl<I, S: Service, C: Engine<I>> Way<'_, I, S, C> {
    fn into_socket(self) -> Option<Inbound<I>> {
        match self {
            Way::Lane(lane) => Some(lane.io),
            Way::Hyper { connection, .. } => Some(connection.into_stream().0),
            Way::Between => None,
        }
    }
}

impl<I, S, C, O> Http1<'_, I, S, C, O>
where
    I: AsyncRead + AsyncWrite + Unpin,
    S: Service,
    C: Engine<I>,
    O: Fn(Inbound<I>) -> C,
{
    /// Gives the connection to whoever has not got it.
    fn change_hands(&mut self) {
        self.way = match std::mem::replace(&mut self.way, Way::Between) {
            Way::Lane(lane) => {
                let connection = Box::new((self.open)(lane.io));
                Way::Hyper { connection, until: Some(self.activity.turns()) }
            }
            Way::Hyper { connection, .. } => {
                let (mut stream, unread) = connection.into_stream();
                stream.unread(unread);
                Way::Lane(Lane::new(stream, self.peer, self.service, self.activity))
            }
            Way::Between => Way::Between,
        };
    }

    /// Whether hyper has done what it was there for, and left nothing behind: a body of which it
    /// has not read all would be taken for the next request.
    fn is_done(&self, until: u32) -> bool {
        self.activity.is_between_requests()
            && self.activity.turns() != until
            && !self.activity.is_leaving()
    }
}

impl<I, S, C, O> Served for Http1<'_, I, S, C, O>
where
    I: AsyncRead + AsyncWrite + Unpin,
    S: Service,
    C: Engine<I>,
    O: Fn(Inbound<I>) -> C,
{
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<hyper::Result<()>> {
        loop {
            match &mut self.way {
                Way::Lane(lane) => match ready!(lane.poll(context)) {
                    Ok(Turn::Other) => {}
                    Ok(Turn::Closed) => return Poll::Ready(Ok(())),
                    Err(error) => {
                        tracing::debug!(%error, peer = %self.peer, "connection ended early");
                        return Poll::Ready(Ok(()));
                    }
                },
                Way::Hyper { connection, until } => {
                    let until = *until;
                    if let Poll::Ready(ended) = connection.poll(context) {
                        return Poll::Ready(ended);
                    }
                    if !until.is_some_and(|until| self.is_done(until)) {
                        return Poll::Pending;
                    }
                }
                Way::Between => return Poll::Ready(Ok(())),
            }
            self.change_hands();
        }
    }

    fn leave(&mut self) -> bool {
        self.activity.leave();
        false
    }

    fn close(&mut self) {
        match &mut self.way {
            Way::Lane(lane) => lane.close(),
            Way::Hyper { connection, .. } => connection.close(),
            Way::Between => {}
        }
    }

    fn socket(&self) -> &SocketActivity {
        self.activity.socket()
    }
}
