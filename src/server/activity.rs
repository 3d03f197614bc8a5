//! Activity of an HTTP/1.1 connection: flags that its socket and its responses set, from which its
//! current phase is derived.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::deadline::Phase;
use super::drain::Announcement;

/// Activity of one connection, shared by its parts. They run in one task, so the atomics need no
/// ordering and cost the same as plain numbers.
#[derive(Debug)]
pub(super) struct Activity {
    socket: Arc<SocketActivity>,
    answering: AtomicBool,
    /// Number of requests and responses so far.
    turns: AtomicU32,
    /// Whether a request had a body, part of which may still be unread.
    body: AtomicBool,
    /// Whether the next response is the last of this connection. A drain announces that for all
    /// connections.
    draining: AtomicBool,
    announced: Announcement,
}

/// Part of the activity that the socket sees.
#[derive(Debug, Default)]
pub(super) struct SocketActivity {
    /// Whether bytes arrived that belong to no request yet.
    head_begun: AtomicBool,
    /// Whether the last received bytes end within a head.
    partial: AtomicBool,
    /// Whether a response is in progress. Nothing is read meanwhile.
    waiting: AtomicBool,
    blocked: AtomicBool,
    /// Whether the sending side is closed.
    closing: AtomicBool,
    /// Whether the receiving side is done too.
    lingered: AtomicBool,
    /// Number of times that the socket took bytes.
    written: AtomicU32,
}

impl Activity {
    pub(super) fn new(socket: Arc<SocketActivity>, announced: Announcement) -> Self {
        Self {
            socket,
            answering: AtomicBool::new(false),
            turns: AtomicU32::new(0),
            body: AtomicBool::new(false),
            draining: AtomicBool::new(false),
            announced,
        }
    }

    /// Notes that a head is complete.
    pub(super) fn request_received(&self) {
        self.socket.head_begun.store(false, Ordering::Relaxed);
        self.answering.store(true, Ordering::Relaxed);
        bump(&self.turns);
    }

    /// Notes that the response has to be waited for.
    pub(super) fn response_pending(&self) {
        self.socket.waiting.store(true, Ordering::Relaxed);
    }

    /// Notes that the request has a body.
    pub(super) fn note_body(&self) {
        self.body.store(true, Ordering::Relaxed);
    }

    /// Returns whether no request is open, no rest of one is unread, and no byte of the next has
    /// arrived.
    pub(super) fn is_between_requests(&self) -> bool {
        matches!(self.phase(), Phase::Idle { .. }) && !self.body.load(Ordering::Relaxed)
    }

    /// Notes that the response is ready as a whole; only the socket has work left. Bytes behind the
    /// head were its body, if it has one, or else the next head.
    pub(super) fn response_ready(&self) {
        let next_begun =
            self.socket.partial.load(Ordering::Relaxed) && !self.body.load(Ordering::Relaxed);
        self.socket.head_begun.store(next_begun, Ordering::Relaxed);
        self.socket.waiting.store(false, Ordering::Relaxed);
        self.answering.store(false, Ordering::Relaxed);
        bump(&self.turns);
    }

    pub(super) fn socket(&self) -> &SocketActivity {
        &self.socket
    }

    pub(super) fn start_draining(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed) || self.announced.is_made()
    }

    pub(super) fn phase(&self) -> Phase {
        let turn = self.turns.load(Ordering::Relaxed);
        if let Some(written) = self.socket.blocked() {
            Phase::Writing { written, oldest: None }
        } else if self.socket.is_closing() {
            Phase::Closing
        } else if self.answering.load(Ordering::Relaxed) {
            Phase::Answering
        } else if self.socket.head_begun.load(Ordering::Relaxed) {
            Phase::Head { turn }
        } else {
            Phase::Idle { turn }
        }
    }
}

impl SocketActivity {
    /// Notes received bytes. Line ends between two requests do not begin a head: some clients send
    /// one too many (RFC 9112 section 2.2).
    pub(super) fn received(&self, bytes: &[u8]) {
        if is_begun(bytes) {
            self.head_begun.store(true, Ordering::Relaxed);
        }
        self.partial
            .store(!bytes.ends_with(HEAD_END) && ends_within_head(bytes), Ordering::Relaxed);
    }

    /// Notes that the socket took bytes, or all of them.
    pub(super) fn wrote(&self) {
        self.blocked.store(false, Ordering::Relaxed);
        bump(&self.written);
    }

    /// Notes that the socket took nothing.
    pub(super) fn note_blocked(&self) {
        self.blocked.store(true, Ordering::Relaxed);
    }

    /// Returns whether a response is in progress. Nothing is read meanwhile.
    pub(super) fn is_waiting(&self) -> bool {
        self.waiting.load(Ordering::Relaxed)
    }

    pub(super) fn close(&self) {
        self.closing.store(true, Ordering::Relaxed);
    }

    /// Returns whether the connection is in its lingering close.
    pub(super) fn is_closing(&self) -> bool {
        self.is_closed() && !self.has_lingered()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closing.load(Ordering::Relaxed)
    }

    pub(super) fn end_linger(&self) {
        self.lingered.store(true, Ordering::Relaxed);
    }

    pub(super) fn has_lingered(&self) -> bool {
        self.lingered.load(Ordering::Relaxed)
    }

    /// Returns how often the socket had taken bytes before it blocked. `None`: it is not blocked.
    pub(super) fn blocked(&self) -> Option<u32> {
        self.blocked.load(Ordering::Relaxed).then(|| self.written.load(Ordering::Relaxed))
    }
}

/// End of a head: the end of its last line, and the empty line.
const HEAD_END: &[u8] = b"\r\n\r\n";

/// Returns whether the bytes begin a head.
fn is_begun(bytes: &[u8]) -> bool {
    !bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n'))
}

/// Returns whether bytes follow the last complete head.
fn ends_within_head(bytes: &[u8]) -> bool {
    let ends = bytes.windows(HEAD_END.len()).rposition(|window| window == HEAD_END);
    let rest = ends.map_or(bytes, |end| bytes.get(end + HEAD_END.len()..).unwrap_or_default());
    is_begun(rest)
}

fn bump(count: &AtomicU32) {
    count.store(count.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_head_behind_a_request_is_begun_once_that_is_answered() {
        for (received, begun) in [
            ("GET / HTTP/1.1\r\n\r\n", false),
            ("GET / HTTP/1.1\r\n\r\n\r\n", false),
            ("GET / HTTP/1.1\r\n\r\nGET", true),
            ("GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n", false),
        ] {
            let socket = Arc::new(SocketActivity::default());
            let activity = Activity::new(Arc::clone(&socket), Announcement::default());
            socket.received(received.as_bytes());
            activity.request_received();
            activity.response_ready();
            let found = matches!(activity.phase(), Phase::Head { .. });
            assert_eq!(found, begun, "{received:?}");
        }
    }

    #[test]
    fn a_request_goes_through_its_phases() {
        let socket = Arc::new(SocketActivity::default());
        let activity = Activity::new(Arc::clone(&socket), Announcement::default());
        let idle = activity.phase();
        assert!(matches!(idle, Phase::Idle { .. }));
        socket.received(b"\r\n");
        assert_eq!(activity.phase(), idle, "a line end is no request");
        socket.received(b"GET");
        let head = activity.phase();
        assert!(matches!(head, Phase::Head { .. }));
        socket.received(b" / HTTP/1.1");
        assert_eq!(activity.phase(), head, "more of it does not begin it anew");
        activity.request_received();
        activity.note_body();
        socket.received(b"body");
        assert_eq!(activity.phase(), Phase::Answering);
        activity.response_ready();
        socket.note_blocked();
        let blocked = activity.phase();
        assert!(matches!(blocked, Phase::Writing { .. }));
        socket.wrote();
        socket.note_blocked();
        assert_ne!(activity.phase(), blocked, "it had gone on in between");
        socket.wrote();
        assert!(matches!(activity.phase(), Phase::Idle { .. }));
        assert_ne!(activity.phase(), idle);
        socket.close();
        assert_eq!(activity.phase(), Phase::Closing);
    }
}
