//! Parameters of one simulation run.

use std::time::Duration;

use fastrand::Rng;

use super::node::FILL_TIMEOUT;
use crate::cluster::node::CUT_OFF_AFTER;

/// Parameters of one run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    /// A long run with few events, in which nodes are suspended for minutes.
    pub(super) slow: bool,
    pub(super) nodes: usize,
    pub(super) files: usize,
    pub(super) ttl: Duration,
    /// Duration of the run.
    pub(super) length: Duration,
    /// Average time between purges, between faults, and between requests at each node.
    pub(super) purges: Duration,
    pub(super) faults: Duration,
    pub(super) reads: Duration,
    pub(super) latency: Duration,
}

impl Plan {
    pub(super) fn draw(rng: &mut Rng) -> Self {
        let seconds = Duration::from_secs;
        let slow = rng.u8(..) < 64;
        let millis = |rng: &mut Rng, range| Duration::from_millis(rng.u64(range));
        Self {
            slow,
            nodes: rng.usize(2..=4),
            files: if slow { 8 } else { rng.usize(1..=3) },
            ttl: seconds(if slow { 300 } else { [3, 20, 300][rng.usize(..3)] }),
            length: seconds(if slow { 240 } else { 40 }),
            purges: millis(rng, if slow { 20_000..60_000 } else { 300..6000 }),
            faults: millis(rng, if slow { 20_000..50_000 } else { 1000..8000 }),
            reads: millis(rng, if slow { 700..2000 } else { 100..500 }),
            latency: millis(rng, if slow { 2000..4000 } else { 2..400 }),
        }
    }

    /// Returns the time after its acknowledgement in which a purge may be unknown to a node.
    pub(super) fn late(&self) -> Duration {
        self.ttl.max(FILL_TIMEOUT).max(CUT_OFF_AFTER)
    }
}
