//! Log lines about the connection to the fleet's Redis.

use crate::cluster::protocol::ServerFault;

/// Target of events that report a change of state.
const STATE_CHANGE: &str = "ikgate.state_change";

/// Log state of the connection since it last changed. Each cause is logged once, not at every
/// attempt.
#[derive(Debug, Default)]
pub(super) struct ConnectionLog {
    is_connected: bool,
    causes: Vec<String>,
}

/// Number of causes that are logged before the connection is back. The first may not be the one
/// that matters.
const CAUSES_MAX: usize = 4;

impl ConnectionLog {
    /// Logs that the connection is back.
    pub(super) fn connected(&mut self) {
        if !self.is_connected {
            tracing::info!(
                target: STATE_CHANGE,
                part = "cluster",
                state = "connected",
                "the fleet's Redis is connected"
            );
        }
        *self = Self { is_connected: true, causes: Vec::new() };
    }

    /// Logs why the connection failed.
    pub(super) fn failed(&mut self, fault: &ServerFault) {
        self.is_connected = false;
        let cause = fault.to_string();
        if self.causes.len() >= CAUSES_MAX || self.causes.contains(&cause) {
            return;
        }
        tracing::error!(
            target: STATE_CHANGE,
            part = "cluster",
            state = "disconnected",
            error = cause,
            "the fleet's Redis cannot be used: after 3 s without it this gateway serves stale \
             responses only if ImageKit fails; its purges reach the other gateways when Redis is back"
        );
        self.causes.push(cause);
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;
    use std::sync::Arc;

    use parking_lot::Mutex;
    use tracing::field::{Field, Visit};
    use tracing::{Event, Subscriber};
    use tracing_subscriber::Layer;
    use tracing_subscriber::layer::{Context, SubscriberExt as _};

    use super::*;

    /// Values of the field `state`, in the order of the events.
    #[derive(Clone, Default)]
    struct States(Arc<Mutex<Vec<String>>>);

    impl<S: Subscriber> Layer<S> for States {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            event.record(&mut self.clone());
        }
    }

    impl Visit for States {
        fn record_debug(&mut self, _: &Field, _: &dyn Debug) {}

        fn record_str(&mut self, field: &Field, value: &str) {
            if field.name() == "state" {
                self.0.lock().push(value.to_owned());
            }
        }
    }

    #[test]
    fn each_change_of_the_connection_and_each_cause_is_logged_once() {
        let states = States::default();
        let subscriber = tracing_subscriber::registry().with(states.clone());
        tracing::subscriber::with_default(subscriber, || {
            let mut log = ConnectionLog::default();
            log.connected();
            log.connected();
            log.failed(&ServerFault::Silent);
            log.failed(&ServerFault::Silent);
            log.failed(&ServerFault::Unreadable("no node has joined"));
            log.connected();
        });
        let expected = ["connected", "disconnected", "disconnected", "connected"];
        assert_eq!(*states.0.lock(), expected);
    }
}
