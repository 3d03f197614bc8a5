//! Health of a node's connection to its fleet. The reader of the stream writes it; all parts read
//! it.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;

/// Time without a record after which a node is cut off, since it may have missed one.
pub(super) const CUT_OFF_AFTER: Duration = Duration::from_secs(3);

/// Whether a node hears of purges on other nodes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ClusterState {
    /// The node has read the stream in the last three seconds.
    Connected,
    /// The node may miss purges. It serves only fresh responses and shares nothing.
    CutOff,
}

/// Connection health, shared by all parts of a node.
#[derive(Debug)]
pub(super) struct Standing {
    /// Instant up to which the stream is applied, in nanoseconds of monotonic time; 0: none.
    heard: AtomicU64,
    /// Number of nodes when the stream was last read, this one included.
    nodes: watch::Sender<NonZeroU32>,
    /// Time between sending a heartbeat and reading it from the stream, in nanoseconds.
    lag: AtomicU64,
    /// Clock of the server minus the gateway's clock, in microseconds.
    skew: AtomicI64,
    /// Number of times that records may have been missed.
    resets: AtomicU64,
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl Standing {
    pub(super) fn new() -> Self {
        Self {
            heard: AtomicU64::new(0),
            nodes: watch::Sender::new(NonZeroU32::MIN),
            lag: AtomicU64::new(0),
            skew: AtomicI64::new(0),
            resets: AtomicU64::new(0),
        }
    }

    /// Returns the state at `now`, in monotonic time.
    pub(super) fn state(&self, now: Duration) -> ClusterState {
        let heard = self.heard();
        let is_recent = nanos(now).saturating_sub(heard) <= nanos(CUT_OFF_AFTER);
        if heard > 0 && is_recent { ClusterState::Connected } else { ClusterState::CutOff }
    }

    /// Returns the instant up to which the stream is applied, in nanoseconds; 0: none, or reset
    /// since.
    pub(super) fn heard(&self) -> u64 {
        self.heard.load(Ordering::Acquire)
    }

    pub(super) fn note_heard(&self, at: Duration) {
        self.heard.store(nanos(at).max(1), Ordering::Release);
    }

    /// Marks the node as cut off until the stream is read again.
    pub(super) fn note_reset(&self) {
        self.heard.store(0, Ordering::Release);
        self.resets.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn note_lag(&self, lag: Duration) {
        self.lag.store(nanos(lag), Ordering::Relaxed);
    }

    /// Stores the clock skew. Both times are Unix time.
    pub(super) fn note_skew(&self, server: Duration, own: Duration) {
        let micros = |time: Duration| i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
        self.skew.store(micros(server) - micros(own), Ordering::Relaxed);
    }

    pub(super) fn note_nodes(&self, nodes: usize) {
        let nodes = u32::try_from(nodes).ok().and_then(NonZeroU32::new);
        let nodes = nodes.unwrap_or(NonZeroU32::MIN);
        self.nodes.send_if_modified(|was| std::mem::replace(was, nodes) != nodes);
    }

    pub(super) fn nodes(&self) -> NonZeroU32 {
        *self.nodes.borrow()
    }

    pub(super) fn watch_nodes(&self) -> watch::Receiver<NonZeroU32> {
        self.nodes.subscribe()
    }

    pub(super) fn lag(&self) -> Duration {
        Duration::from_nanos(self.lag.load(Ordering::Relaxed))
    }

    /// Returns the clock skew in seconds.
    #[expect(clippy::cast_precision_loss, reason = "for people to look at")]
    pub(super) fn skew(&self) -> f64 {
        self.skew.load(Ordering::Relaxed) as f64 / 1e6
    }

    pub(super) fn resets(&self) -> u64 {
        self.resets.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_cut_off_until_it_has_heard_something_and_three_seconds_after_it_last_did() {
        let (standing, at) = (Standing::new(), Duration::from_secs(100));
        assert_eq!(standing.state(Duration::ZERO), ClusterState::CutOff);
        assert_eq!(standing.state(at), ClusterState::CutOff);
        standing.note_heard(at);
        assert_eq!(standing.state(at + CUT_OFF_AFTER), ClusterState::Connected);
        let later = at + CUT_OFF_AFTER + Duration::from_nanos(1);
        assert_eq!(standing.state(later), ClusterState::CutOff);
        standing.note_heard(later);
        standing.note_reset();
        assert_eq!(standing.state(later), ClusterState::CutOff);
    }
}
