//! State of a node in the fleet's stream of purges: the position up to which every record is
//! applied, and the members of the fleet.
//!
//! The next record has the next sequence number. If a number is missing, the node discards its
//! whole cache and continues from the new record. It does the same after the server's epoch has
//! changed.

use std::sync::Arc;

use super::link_health::LinkHealth;
use super::members::Members;
use crate::cache::{PurgeMode, Target};
use crate::clock::Clock;
use crate::cluster::protocol::{Joined, NodeId, Record, RecordKind, RecordOrder, StreamPosition};
use crate::invalidation::{InvalidationSource, LocalInvalidator, Purge};

/// Applied state: position in the stream, and the members of the fleet.
pub(super) struct AppliedState {
    node: NodeId,
    health: Arc<LinkHealth>,
    local: LocalInvalidator,
    clock: Clock,
    /// `None` until the first join.
    position: Option<StreamPosition>,
    members: Members,
}

impl AppliedState {
    /// Returns the state of a node that has not joined yet.
    pub(super) fn new(
        node: NodeId,
        health: Arc<LinkHealth>,
        local: LocalInvalidator,
        clock: Clock,
    ) -> Self {
        Self { node, health, local, clock, position: None, members: Members::default() }
    }

    /// Returns the position up to which every record is applied; `None` until the first join.
    pub(super) fn position(&self) -> Option<&StreamPosition> {
        self.position.as_ref()
    }

    /// Resumes at the own position if the epoch is the same; otherwise resets to the server's
    /// position.
    pub(super) fn resume(&mut self, Joined { end, nodes }: Joined) {
        let nodes = self.members.resume(&nodes, self.clock.monotonic());
        self.health.set_nodes(nodes);
        let continues =
            self.position.as_ref().is_some_and(|own| own.epoch == end.epoch && own.seq <= end.seq);
        if !continues {
            self.reset(end);
        }
    }

    /// Purges everything, since records before `position` may have been missed. The node continues
    /// after `position`.
    fn reset(&mut self, position: StreamPosition) {
        // On the first join no record can have been missed. Only responses that were fetched
        // before it can be stale.
        if self.position.is_some() {
            self.health.record_reset();
        }
        self.position = Some(position);
        let (mode, source) = (PurgeMode::Hard, InvalidationSource::Cluster);
        self.local.apply(&Purge { target: Target::All, mode, source });
    }

    /// Applies the next record that was read. Skips one that was applied already.
    pub(super) fn apply(&mut self, record: Record) {
        let Record { position, node, kind } = record;
        if kind == RecordKind::Stray {
            if let Some(own) = &mut self.position {
                own.id = position.id;
            }
            return;
        }
        let own = self.position.as_ref();
        let order = own.map_or(RecordOrder::AfterGap, |own| own.order_of(&position));
        match order {
            RecordOrder::Applied => return,
            RecordOrder::Next if kind != RecordKind::Unknown => {}
            RecordOrder::Next | RecordOrder::AfterGap => self.reset(position.clone()),
        }
        let now = self.clock.monotonic();
        match kind {
            RecordKind::Heartbeat { sent } => {
                let nodes = self.members.saw(node, now);
                self.health.set_nodes(nodes);
                if node == self.node {
                    self.health.set_lag(now.saturating_sub(sent));
                }
            }
            RecordKind::Leave => self.health.set_nodes(self.members.left(node)),
            RecordKind::Purge(purge) if order == RecordOrder::Next => self.local.apply(&purge),
            // `reset` has purged everything already.
            RecordKind::Purge(_) | RecordKind::Stray | RecordKind::Unknown => {}
        }
        self.position = Some(position);
    }
}
