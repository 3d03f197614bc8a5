//! Connection as the HTTP code reads and writes it: [`Inbound`] lies below hyper and the fast path, and
//! above [`super::outbound::Outbound`]. TLS, which has buffers of its own, may lie between them.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::activity::SocketActivity;
use super::outbound::Liveness;
use super::request_lines::RequestLines;

/// Longest response, head included, that is copied into one buffer before it is sent, in bytes.
///
/// Measured: the kernel takes 0.4 µs longer for two pieces than for one. That pays for copying 1.4
/// KB several times. Beyond a few KB the copy costs more.
const GATHERED_MAX: usize = 2048;

thread_local! {
    /// Buffer for small responses. One is enough for all connections of a thread.
    static GATHERED: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Lingering close: bytes that are read and discarded after the last response. A socket that is
/// closed over unread bytes is reset, which destroys the response.
const LINGER_BYTES_MAX: usize = 512 * 1024;

/// Fields of hyper's own responses.
const BARE_FIELDS: [&str; 3] = ["connection: close", "content-length: 0", "date: "];

/// Stream layer that notes received bytes and sends small responses in one piece.
pub(super) struct Inbound<S> {
    stream: S,
    /// Bytes that were received before, to be read again.
    unread: Bytes,
    /// Position in the stream of requests, while hyper reads.
    lines: Option<RequestLines>,
    /// hyper's bare response to a head that it cannot parse. Held back, because the service has a
    /// better one.
    refusal: HyperRefusal,
    activity: Arc<SocketActivity>,
    discarded: usize,
}

/// State of hyper's response to a head that it cannot parse.
#[derive(Debug, Eq, PartialEq)]
enum HyperRefusal {
    /// hyper has made none.
    None,
    Held(Vec<u8>),
    /// It, or a better one, is written.
    Taken,
}

impl<S> Inbound<S> {
    pub(super) fn new(stream: S, activity: Arc<SocketActivity>) -> Self {
        let (unread, refusal) = (Bytes::new(), HyperRefusal::None);
        Self { stream, unread, lines: None, refusal, activity, discarded: 0 }
    }

    /// Puts the bytes that were read last back, to be read again first.
    pub(super) fn unread(&mut self, bytes: Bytes) {
        // Even an empty `Bytes` may keep its reader's whole buffer alive.
        if bytes.is_empty() {
            return;
        }
        self.unread = if self.unread.is_empty() {
            bytes
        } else {
            [bytes, self.unread.clone()].concat().into()
        };
    }

    /// Notes whether hyper reads from here on, from the beginning of a request.
    pub(super) fn read_by_hyper(&mut self, is_hyper: bool) {
        self.lines = is_hyper.then(RequestLines::default);
    }

    /// Returns the response that was held back. From now on none is held back.
    pub(super) fn take_refusal(&mut self) -> Option<Vec<u8>> {
        match std::mem::replace(&mut self.refusal, HyperRefusal::Taken) {
            HyperRefusal::Held(head) => Some(head),
            HyperRefusal::None | HyperRefusal::Taken => None,
        }
    }

    pub(super) fn activity(&self) -> Arc<SocketActivity> {
        Arc::clone(&self.activity)
    }

    fn received(&mut self, bytes: &mut [u8]) {
        self.activity.received(bytes);
        if let Some(lines) = &mut self.lines {
            lines.follow(bytes);
        }
    }
}

impl<S: AsyncRead + Unpin> Inbound<S> {
    /// Reads and discards until the client has sent everything, or more than enough.
    fn poll_linger(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let mut bytes = [0; 4096];
        while self.discarded < LINGER_BYTES_MAX && !self.activity.has_lingered() {
            let mut buffer = ReadBuf::new(&mut bytes);
            let read = ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer));
            if read.is_err() || buffer.filled().is_empty() {
                break;
            }
            self.discarded += buffer.filled().len();
        }
        self.activity.end_linger();
        Poll::Ready(())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Inbound<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.unread.is_empty() {
            let length = self.unread.len().min(buffer.remaining());
            let again = self.unread.split_to(length);
            if self.unread.is_empty() {
                self.unread = Bytes::new();
            }
            let before = buffer.filled().len();
            buffer.put_slice(&again);
            self.received(buffer.filled_mut().get_mut(before..).unwrap_or_default());
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let outcome = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.received(buffer.filled_mut().get_mut(before..).unwrap_or_default());
        outcome
    }
}

impl<S: AsyncRead + AsyncWrite + Liveness + Unpin> AsyncWrite for Inbound<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.refusal == HyperRefusal::None
            && self.lines.is_some()
            && let Some(head) = bare_refusal(pieces)
        {
            self.refusal = HyperRefusal::Held(head.to_vec());
            return Poll::Ready(Ok(head.len()));
        }
        let stream = Pin::new(&mut self.stream);
        let mut gathered = GATHERED.take();
        let outcome = if gather(pieces, &mut gathered) {
            stream.poll_write(context, &gathered)
        } else {
            stream.poll_write_vectored(context, pieces)
        };
        GATHERED.set(gathered);
        outcome
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Checks for a reset, then flushes. hyper flushes on every turn, and reads nothing while it
    /// waits for a response.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.activity.is_waiting()
            && let Poll::Ready(error) = self.stream.poll_broken(context)
        {
            return Poll::Ready(Err(error));
        }
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if matches!(self.refusal, HyperRefusal::Held(_)) {
            // The better response is still to be written.
            return Poll::Ready(Ok(()));
        }
        if !self.activity.is_closed() {
            ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
            self.activity.close();
        }
        self.poll_linger(context).map(Ok)
    }
}

/// Returns hyper's own response to a head that it cannot parse, if the pieces are one: an error
/// without a body. Responses of the services have other fields too.
fn bare_refusal<'a>(pieces: &'a [IoSlice<'_>]) -> Option<&'a [u8]> {
    let mut pieces = pieces.iter().filter(|piece| !piece.is_empty());
    let (Some(head), None) = (pieces.next(), pieces.next()) else { return None };
    let status = head.strip_prefix(b"HTTP/1.")?.get(1..5)?;
    let is_refused = [b" 400", b" 414", b" 431"].iter().any(|refused| status == *refused);
    let fields = head.strip_suffix(b"\r\n\r\n")?.split(|&byte| byte == b'\n').skip(1);
    let is_own = |line: &[u8]| BARE_FIELDS.iter().any(|field| line.starts_with(field.as_bytes()));
    let is_bare = is_refused && fields.map(<[u8]>::trim_ascii).all(is_own);
    is_bare.then_some(&**head)
}

/// Copies all pieces into one buffer, if they fit.
fn gather(pieces: &[IoSlice<'_>], into: &mut Vec<u8>) -> bool {
    let bytes: usize = pieces.iter().map(|piece| piece.len()).sum();
    if bytes > GATHERED_MAX {
        return false;
    }
    into.clear();
    into.reserve_exact(GATHERED_MAX);
    for piece in pieces {
        into.extend_from_slice(piece);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hypers_own_refusal_is_told_from_every_other_answer() {
        let bare = "HTTP/1.0 431 Request Header Fields Too Large\r\ncontent-length: 0\r\n\
                    date: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n";
        let is_bare = |text: &str| bare_refusal(&[IoSlice::new(text.as_bytes())]).is_some();
        assert!(is_bare(bare));
        assert!(is_bare(&bare.replace("date:", "connection: close\r\ndate:")));
        for other in [
            bare.replace("431", "404"),
            bare.replace("431", "200"),
            bare.replace("date:", "content-type: a\r\ndate:"),
            bare.replace("\r\n\r\n", "\r\n"),
            "HTTP/1.1 400".to_owned(),
            "HTTP/1.1 400\"}]".to_owned(),
            String::new(),
        ] {
            assert!(!is_bare(&other), "{other:?}");
        }
        let pieces = [IoSlice::new(bare.as_bytes()), IoSlice::new(b"{}")];
        assert_eq!(bare_refusal(&pieces), None);
    }

    #[test]
    fn pieces_are_gathered_in_order_if_they_fit() {
        let mut into = b"before".to_vec();
        let pieces = [IoSlice::new(b"ab"), IoSlice::new(b""), IoSlice::new(b"cde")];
        assert!(gather(&pieces, &mut into));
        assert_eq!(into, b"abcde");
        let (most, one) = (vec![b'x'; GATHERED_MAX], [b'y']);
        assert!(gather(&[IoSlice::new(&most)], &mut into));
        assert!(!gather(&[IoSlice::new(&most), IoSlice::new(&one)], &mut into));
    }
}
