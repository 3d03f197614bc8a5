//! Members of the fleet, as their records in the stream show.

use std::collections::HashMap;
use std::time::Duration;

use crate::cluster::protocol::NodeId;

/// Time without a record after which a node is no longer counted.
const GONE_AFTER: Duration = Duration::from_secs(5);

/// Number of nodes that are counted. Above it, each node takes a larger part of a quota than it
/// should.
const MEMBERS_MAX: usize = 4096;

/// Nodes and the monotonic time of the last record of each.
#[derive(Debug, Default)]
pub(super) struct Members {
    seen: HashMap<NodeId, Duration>,
}

impl Members {
    /// Counts a record of `node` at `now`. Returns the number of nodes, this one included.
    pub(super) fn saw(&mut self, node: NodeId, now: Duration) -> usize {
        self.seen.retain(|_, seen| now.saturating_sub(*seen) <= GONE_AFTER);
        if self.seen.len() < MEMBERS_MAX || self.seen.contains_key(&node) {
            self.seen.insert(node, now);
        }
        self.seen.len()
    }

    /// Resumes after a time without a stream: all known nodes, and `nodes`, count as seen at `now`.
    /// Returns the number of nodes.
    pub(super) fn resume(&mut self, nodes: &[NodeId], now: Duration) -> usize {
        for seen in self.seen.values_mut() {
            *seen = now;
        }
        for node in nodes {
            self.saw(*node, now);
        }
        self.seen.len()
    }

    /// Removes a node that has shut down. Returns the number of nodes.
    pub(super) fn left(&mut self, node: NodeId) -> usize {
        self.seen.remove(&node);
        self.seen.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_counts_while_its_records_come() {
        let mut members = Members::default();
        let at = Duration::from_secs;
        assert_eq!(members.saw(NodeId(1), at(0)), 1);
        assert_eq!(members.saw(NodeId(2), at(1)), 2);
        assert_eq!(members.saw(NodeId(1), at(5)), 2);
        assert_eq!(members.saw(NodeId(1), at(7)), 1);
        assert_eq!(members.saw(NodeId(3), at(7)), 2);
        assert_eq!(members.left(NodeId(3)), 1);
        assert_eq!(members.left(NodeId(9)), 1);
        // While the stream could not be read, no node is dropped.
        assert_eq!(members.resume(&[NodeId(4), NodeId(5)], at(100)), 3);
        assert_eq!(members.saw(NodeId(4), at(106)), 1);
    }
}
