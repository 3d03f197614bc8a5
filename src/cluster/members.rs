//! Which nodes are there, as far as the stream says.

use std::collections::HashMap;
use std::time::Duration;

use super::bus::NodeId;

/// Without a sign of life for so long, a node does not count any more.
const GONE_AFTER: Duration = Duration::from_secs(5);

/// More nodes are not told apart: then each has a larger part than it should.
const MEMBERS_MAX: usize = 4096;

#[derive(Debug, Default)]
pub(super) struct Members {
    seen: HashMap<NodeId, Duration>,
}

impl Members {
    /// A sign of life at `now`. How many there are, whoever reads this included.
    pub(super) fn saw(&mut self, node: NodeId, now: Duration) -> usize {
        self.seen.retain(|_, seen| now.saturating_sub(*seen) <= GONE_AFTER);
        if self.seen.len() < MEMBERS_MAX || self.seen.contains_key(&node) {
            self.seen.insert(node, now);
        }
        self.seen.len()
    }

    /// Nobody could be heard until `now`, and these were a moment before.
    pub(super) fn resume(&mut self, nodes: &[NodeId], now: Duration) -> usize {
        for seen in self.seen.values_mut() {
            *seen = now;
        }
        for node in nodes {
            self.saw(*node, now);
        }
        self.seen.len()
    }

    pub(super) fn left(&mut self, node: NodeId) -> usize {
        self.seen.remove(&node);
        self.seen.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_counts_while_it_is_heard() {
        let mut members = Members::default();
        let at = Duration::from_secs;
        assert_eq!(members.saw(NodeId(1), at(0)), 1);
        assert_eq!(members.saw(NodeId(2), at(1)), 2);
        assert_eq!(members.saw(NodeId(1), at(5)), 2);
        assert_eq!(members.saw(NodeId(1), at(7)), 1);
        assert_eq!(members.saw(NodeId(3), at(7)), 2);
        assert_eq!(members.left(NodeId(3)), 1);
        assert_eq!(members.left(NodeId(9)), 1);
        // While nothing was heard, nobody has gone.
        assert_eq!(members.resume(&[NodeId(4), NodeId(5)], at(100)), 3);
        assert_eq!(members.saw(NodeId(4), at(106)), 1);
    }
}
