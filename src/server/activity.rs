//! What a connection of HTTP/1.1 is doing, as its socket and its answers note it in passing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::deadline::Phase;
use super::drain::Announcement;

/// Shared by the parts of one connection. They run in one task, so nothing here orders anything;
/// the atomics are for the compiler, and cost what plain numbers do.
#[derive(Debug)]
pub(super) struct Activity {
    socket: Arc<SocketActivity>,
    answering: AtomicBool,
    /// How often something was asked or answered.
    turns: AtomicU32,
    /// Some request had a body, of which some may be left to be read.
    body: AtomicBool,
    /// Whether the next answer is to be the last, of this connection or of all.
    leaving: AtomicBool,
    announced: Announcement,
}

/// The part of it that the socket sees.
#[derive(Debug, Default)]
pub(super) struct SocketActivity {
    /// Bytes came that no request has been made of yet.
    head_begun: AtomicBool,
    /// The bytes that came last end within a head.
    partial: AtomicBool,
    /// An answer is in the making, and nothing is read meanwhile.
    waiting: AtomicBool,
    blocked: AtomicBool,
    /// Nothing more is to be written.
    closing: AtomicBool,
    /// Nor is anything to be read.
    heard_out: AtomicBool,
    /// How often the socket took something.
    written: AtomicU32,
}

impl Activity {
    pub(super) fn new(socket: Arc<SocketActivity>, announced: Announcement) -> Self {
        Self {
            socket,
            answering: AtomicBool::new(false),
            turns: AtomicU32::new(0),
            body: AtomicBool::new(false),
            leaving: AtomicBool::new(false),
            announced,
        }
    }

    /// A head is complete.
    pub(super) fn asked(&self) {
        self.socket.head_begun.store(false, Ordering::Relaxed);
        self.answering.store(true, Ordering::Relaxed);
        bump(&self.turns);
    }

    /// Its answer has to be waited for.
    pub(super) fn waits(&self) {
        self.socket.waiting.store(true, Ordering::Relaxed);
    }

    pub(super) fn has_body(&self) {
        self.body.store(true, Ordering::Relaxed);
    }

    /// Nothing is asked, nothing is left of what was, and nothing of what comes next is here.
    pub(super) fn is_between_requests(&self) -> bool {
        matches!(self.phase(), Phase::Idle { .. }) && !self.body.load(Ordering::Relaxed)
    }

    /// Its answer is there, whole: whatever is left to do is the socket's. What came behind its
    /// head was its body, if it has one, or the next head.
    pub(super) fn answered(&self) {
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

    pub(super) fn leave(&self) {
        self.leaving.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Relaxed) || self.announced.is_made()
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
    /// These bytes were received. Line ends between two requests are nothing yet: some clients
    /// send one too many (RFC 9112 section 2.2).
    pub(super) fn received(&self, bytes: &[u8]) {
        if is_begun(bytes) {
            self.head_begun.store(true, Ordering::Relaxed);
        }
        self.partial
            .store(!bytes.ends_with(HEAD_END) && ends_within_head(bytes), Ordering::Relaxed);
    }

    /// The socket took something, or all there was.
    pub(super) fn wrote(&self) {
        self.blocked.store(false, Ordering::Relaxed);
        bump(&self.written);
    }

    /// It took nothing.
    pub(super) fn is_blocked(&self) {
        self.blocked.store(true, Ordering::Relaxed);
    }

    /// Whether an answer is waited for, and nothing is read meanwhile.
    pub(super) fn is_waiting(&self) -> bool {
        self.waiting.load(Ordering::Relaxed)
    }

    pub(super) fn close(&self) {
        self.closing.store(true, Ordering::Relaxed);
    }

    /// Whether whoever is still sending is being heard out.
    pub(super) fn is_closing(&self) -> bool {
        self.is_closed() && !self.is_heard_out()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closing.load(Ordering::Relaxed)
    }

    pub(super) fn heard_out(&self) {
        self.heard_out.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_heard_out(&self) -> bool {
        self.heard_out.load(Ordering::Relaxed)
    }

    /// How often it had taken something before it took no more.
    pub(super) fn blocked(&self) -> Option<u32> {
        self.blocked.load(Ordering::Relaxed).then(|| self.written.load(Ordering::Relaxed))
    }
}

/// End of a head's last line, and the empty line.
const HEAD_END: &[u8] = b"\r\n\r\n";

/// Whether anything of a head is there.
fn is_begun(bytes: &[u8]) -> bool {
    !bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n'))
}

/// Whether something follows the last head that is complete.
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
            activity.asked();
            activity.answered();
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
        activity.asked();
        activity.has_body();
        socket.received(b"body");
        assert_eq!(activity.phase(), Phase::Answering);
        activity.answered();
        socket.is_blocked();
        let blocked = activity.phase();
        assert!(matches!(blocked, Phase::Writing { .. }));
        socket.wrote();
        socket.is_blocked();
        assert_ne!(activity.phase(), blocked, "it had gone on in between");
        socket.wrote();
        assert!(matches!(activity.phase(), Phase::Idle { .. }));
        assert_ne!(activity.phase(), idle);
        socket.close();
        assert_eq!(activity.phase(), Phase::Closing);
    }
}
