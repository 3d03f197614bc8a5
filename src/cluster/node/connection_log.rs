//! Log lines about the connection to the fleet's Redis.

use crate::cluster::protocol::ServerFault;

/// Target of events that report a change of state.
const STATE_CHANGE: &str = "ikgate.state_change";

/// Log state of the connection since it last changed. Each cause is logged once, not at every
/// attempt.
#[derive(Debug, Default)]
pub(super) struct ConnectionLog {
    joined: bool,
    causes: Vec<String>,
}

/// Number of causes that are logged before the connection is back. The first may not be the one
/// that matters.
const CAUSES_MAX: usize = 4;

impl ConnectionLog {
    /// Logs that the connection is back.
    pub(super) fn joined(&mut self) {
        if !self.joined {
            tracing::info!(
                target: STATE_CHANGE,
                part = "cluster",
                state = "joined",
                "the fleet's Redis is connected"
            );
        }
        *self = Self { joined: true, causes: Vec::new() };
    }

    /// Logs why the connection failed.
    pub(super) fn failed(&mut self, fault: &ServerFault) {
        self.joined = false;
        let cause = fault.to_string();
        if self.causes.len() >= CAUSES_MAX || self.causes.contains(&cause) {
            return;
        }
        tracing::error!(
            target: STATE_CHANGE,
            part = "cluster",
            state = "apart",
            error = cause,
            "the fleet's Redis cannot be used: after 3 s without it this gateway serves only fresh \
             responses; its purges reach the other gateways when Redis is back"
        );
        self.causes.push(cause);
    }
}
