//! Health of a node's link to its fleet. The reader of the stream writes it; all parts read it.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::cluster::protocol::ServerFault;

/// Time without a record after which a node is cut off, since it may have missed one.
pub(in crate::cluster) const CUT_OFF_AFTER: Duration = Duration::from_secs(3);

/// Longest text of an error, in characters. A part of it may come from the server.
const ERROR_CHARS_MAX: usize = 200;

/// Whether a node receives the purges of other nodes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ClusterState {
    /// The node has read the stream in the last three seconds.
    Connected,
    /// The node may miss purges. It serves fresh responses, and stale ones only if ImageKit fails.
    /// It shares nothing.
    CutOff,
}

/// Link health, shared by all parts of a node.
#[derive(Debug)]
pub(in crate::cluster) struct LinkHealth {
    /// Instant up to which the stream is applied, in nanoseconds of monotonic time; 0: none.
    read_until: AtomicU64,
    /// Number of nodes when the stream was last read, this one included.
    nodes: watch::Sender<NonZeroU32>,
    /// Time between sending a heartbeat and reading it from the stream, in nanoseconds.
    lag: AtomicU64,
    /// Clock of the server minus the gateway's clock, in microseconds.
    clock_skew: AtomicI64,
    /// Number of times that records may have been missed.
    resets: AtomicU64,
    /// Cause of the last failure, until the stream is read again.
    error: Mutex<Option<String>>,
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl LinkHealth {
    pub(in crate::cluster) fn new() -> Self {
        Self {
            read_until: AtomicU64::new(0),
            nodes: watch::Sender::new(NonZeroU32::MIN),
            lag: AtomicU64::new(0),
            clock_skew: AtomicI64::new(0),
            resets: AtomicU64::new(0),
            error: Mutex::default(),
        }
    }

    /// Returns the state at `now`, in monotonic time.
    pub(in crate::cluster) fn state(&self, now: Duration) -> ClusterState {
        let read_until = self.read_until();
        let is_recent = nanos(now).saturating_sub(read_until) <= nanos(CUT_OFF_AFTER);
        if read_until > 0 && is_recent { ClusterState::Connected } else { ClusterState::CutOff }
    }

    /// Returns the instant up to which the stream is applied, in nanoseconds; 0: none, or reset
    /// since.
    pub(in crate::cluster) fn read_until(&self) -> u64 {
        self.read_until.load(Ordering::Acquire)
    }

    pub(in crate::cluster) fn set_read_until(&self, at: Duration) {
        self.read_until.store(nanos(at).max(1), Ordering::Release);
        *self.error.lock() = None;
    }

    /// Records why the link failed.
    pub(super) fn set_error(&self, fault: &ServerFault) {
        let text = fault.to_string();
        let plain = text.chars().map(|char| if char.is_control() { ' ' } else { char });
        *self.error.lock() = Some(plain.take(ERROR_CHARS_MAX).collect());
    }

    /// Returns why the link failed. `None`: the stream has been read since.
    pub(in crate::cluster) fn error(&self) -> Option<String> {
        self.error.lock().clone()
    }

    /// Marks the node as cut off until the stream is read again.
    pub(in crate::cluster) fn record_reset(&self) {
        self.read_until.store(0, Ordering::Release);
        self.resets.fetch_add(1, Ordering::Relaxed);
    }

    pub(in crate::cluster) fn set_lag(&self, lag: Duration) {
        self.lag.store(nanos(lag), Ordering::Relaxed);
    }

    /// Stores the clock skew. Both times are Unix time.
    pub(in crate::cluster) fn set_clock_skew(&self, server: Duration, own: Duration) {
        let micros = |time: Duration| i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
        self.clock_skew.store(micros(server) - micros(own), Ordering::Relaxed);
    }

    pub(in crate::cluster) fn set_nodes(&self, nodes: usize) {
        let nodes = u32::try_from(nodes).ok().and_then(NonZeroU32::new);
        let nodes = nodes.unwrap_or(NonZeroU32::MIN);
        self.nodes.send_if_modified(|was| std::mem::replace(was, nodes) != nodes);
    }

    pub(in crate::cluster) fn nodes(&self) -> NonZeroU32 {
        *self.nodes.borrow()
    }

    pub(in crate::cluster) fn watch_nodes(&self) -> watch::Receiver<NonZeroU32> {
        self.nodes.subscribe()
    }

    pub(in crate::cluster) fn lag(&self) -> Duration {
        Duration::from_nanos(self.lag.load(Ordering::Relaxed))
    }

    /// Returns the clock skew in seconds.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a reading for people, which needs no more precision"
    )]
    pub(in crate::cluster) fn clock_skew(&self) -> f64 {
        self.clock_skew.load(Ordering::Relaxed) as f64 / 1e6
    }

    pub(in crate::cluster) fn resets(&self) -> u64 {
        self.resets.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_cut_off_before_its_first_record_and_three_seconds_after_its_last() {
        let (health, at) = (LinkHealth::new(), Duration::from_secs(100));
        assert_eq!(health.state(Duration::ZERO), ClusterState::CutOff);
        assert_eq!(health.state(at), ClusterState::CutOff);
        health.set_read_until(at);
        assert_eq!(health.state(at + CUT_OFF_AFTER), ClusterState::Connected);
        let later = at + CUT_OFF_AFTER + Duration::from_nanos(1);
        assert_eq!(health.state(later), ClusterState::CutOff);
        health.set_read_until(later);
        health.record_reset();
        assert_eq!(health.state(later), ClusterState::CutOff);
    }

    #[test]
    fn the_last_error_is_kept_in_one_short_line_until_the_stream_is_read_again() {
        let health = LinkHealth::new();
        assert_eq!(health.error(), None);
        health.set_error(&ServerFault::Timeout);
        health.set_error(&ServerFault::Failed("WRONGPASS\r\nno".into()));
        let said = "it cannot be reached, or failed: WRONGPASS  no";
        assert_eq!(health.error().as_deref(), Some(said));
        health.set_error(&ServerFault::Failed("é".repeat(1000).into()));
        assert_eq!(health.error().unwrap().chars().count(), ERROR_CHARS_MAX);
        health.set_read_until(Duration::from_secs(1));
        assert_eq!(health.error(), None);
    }
}
