//! Activity of an HTTP/2 connection: its open streams, and which of them the client does not read.

use std::collections::HashMap;
use std::sync::Arc;

use ahash::RandomState;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::activity::SocketActivity;
use super::deadline::Phase;

/// Limit of abandoned requests in excess of answered ones. A page that its user leaves abandons a
/// few requests; a client that only causes work abandons all.
const ABANDONED_MAX: u32 = 200;

/// Streams of one connection. Each is answered in a task of its own.
#[derive(Debug)]
pub(super) struct Streams {
    socket: Arc<SocketActivity>,
    table: Mutex<StreamTable>,
}

#[derive(Debug, Default)]
struct StreamTable {
    /// Time at which each stream's response last progressed. `None` until the response is ready.
    open: HashMap<u64, Option<Instant>, RandomState>,
    next: u64,
    /// Streams abandoned before their response was ready, less the streams that were answered.
    abandoned: u32,
    /// Number of streams that were opened or ended.
    turns: u32,
}

/// Request, until its response is taken or dropped.
#[derive(Debug)]
pub(super) struct OpenStream {
    streams: Arc<Streams>,
    number: u64,
    answered: bool,
}

impl Streams {
    pub(super) fn new(socket: Arc<SocketActivity>) -> Self {
        Self { socket, table: Mutex::default() }
    }

    pub(super) fn socket(&self) -> &SocketActivity {
        &self.socket
    }

    pub(super) fn open(self: &Arc<Self>) -> OpenStream {
        let mut table = self.table.lock();
        let number = table.next;
        table.next += 1;
        table.turns = table.turns.wrapping_add(1);
        table.open.insert(number, None);
        OpenStream { streams: Arc::clone(self), number, answered: false }
    }

    pub(super) fn phase(&self) -> Phase {
        let table = self.table.lock();
        if table.abandoned > ABANDONED_MAX {
            return Phase::Abandoned;
        }
        let oldest = table.open.values().flatten().min().copied();
        if let Some(written) = self.socket.blocked() {
            return Phase::Writing { written, oldest };
        }
        match oldest {
            _ if self.socket.is_closing() => Phase::Closing,
            Some(since) => Phase::Sending { since },
            None if table.open.is_empty() => Phase::Settling { turn: table.turns },
            None => Phase::Answering,
        }
    }
}

impl OpenStream {
    /// Notes that the response is ready and waits to be taken.
    pub(super) fn answered(&mut self, now: Instant) {
        self.answered = true;
        self.progressed(now);
    }

    /// Notes that a part of the response was taken.
    pub(super) fn progressed(&mut self, now: Instant) {
        self.streams.table.lock().open.insert(self.number, Some(now));
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        let mut table = self.streams.table.lock();
        table.open.remove(&self.number);
        table.turns = table.turns.wrapping_add(1);
        table.abandoned = if self.answered {
            table.abandoned.saturating_sub(1)
        } else {
            table.abandoned.saturating_add(1)
        };
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_oldest_answer_that_does_not_move_counts() {
        let streams = Arc::new(Streams::new(Arc::default()));
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let idle = streams.phase();
        assert!(matches!(idle, Phase::Settling { .. }));
        let (mut stalled, mut moving) = (streams.open(), streams.open());
        assert_eq!(streams.phase(), Phase::Answering);
        stalled.answered(start);
        moving.answered(start);
        moving.progressed(start + second);
        assert_eq!(streams.phase(), Phase::Sending { since: start });
        streams.socket.note_blocked();
        let blocked = Phase::Writing { written: 0, oldest: Some(start) };
        assert_eq!(streams.phase(), blocked, "a socket that moves does not hide who does not");
        streams.socket.wrote();
        drop(stalled);
        assert_eq!(streams.phase(), Phase::Sending { since: start + second });
        drop(moving);
        assert!(matches!(streams.phase(), Phase::Settling { .. }));
        assert_ne!(streams.phase(), idle);
    }

    #[test]
    fn a_client_that_gives_up_more_than_it_takes_is_noticed() {
        let streams = Arc::new(Streams::new(Arc::default()));
        for _ in 0..10 * ABANDONED_MAX {
            drop(streams.open());
            streams.open().answered(Instant::now());
        }
        assert!(matches!(streams.phase(), Phase::Settling { .. }));
        for _ in 0..ABANDONED_MAX {
            drop(streams.open());
        }
        assert!(matches!(streams.phase(), Phase::Settling { .. }));
        drop(streams.open());
        assert_eq!(streams.phase(), Phase::Abandoned);
    }
}
