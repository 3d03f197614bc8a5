//! Client of the quota ledger: sends this node's lease requests to Redis, and applies the grants.
//!
//! The requests of one interval go in one call.

use std::sync::Arc;
use std::time::Duration;

use super::link_health::{ClusterState, LinkHealth};
use crate::clock::Clock;
use crate::cluster::protocol::{QuotaLedger, ServerFault};
use crate::limit::{LeaseQueue, LeaseRequest};

/// Pause between two calls. A shorter one keeps closer to the quota; each call costs Redis some
/// time.
const CALL_INTERVAL: Duration = Duration::from_millis(20);

/// Interval of the check of the connection while there are no lease requests.
const CHECK_INTERVAL: Duration = Duration::from_millis(100);

/// Timeout of a call to the ledger. Requests stop waiting long before it.
const CALL_TIMEOUT: Duration = Duration::from_millis(250);

/// Lease requests per call. A call is one script, and Redis does nothing else while it runs.
const REQUESTS_PER_CALL_MAX: usize = 200;

/// Runs the ledger client. Does not return.
pub(in crate::cluster) async fn run_ledger_client<L: QuotaLedger>(
    ledger: Arc<L>,
    queue: Arc<LeaseQueue>,
    health: Arc<LinkHealth>,
    clock: Clock,
) {
    loop {
        _ = tokio::time::timeout(CHECK_INTERVAL, queue.wait_for_requests()).await;
        let now = clock.monotonic();
        let is_connected = health.state(now) == ClusterState::Connected;
        queue.set_fleet(is_connected, health.nodes());
        if call(&*ledger, &queue, &clock).await.is_err() {
            // Each node enforces its own part of the quota until the next check.
            queue.set_fleet(false, health.nodes());
            tokio::time::sleep(CHECK_INTERVAL).await;
        }
        tokio::time::sleep(CALL_INTERVAL).await;
    }
}

/// Sends one batch of lease requests, if any are queued.
async fn call<L: QuotaLedger>(
    ledger: &L,
    queue: &LeaseQueue,
    clock: &Clock,
) -> Result<(), ServerFault> {
    let sent = clock.monotonic();
    let requests = queue.take_batch(REQUESTS_PER_CALL_MAX, sent);
    if requests.is_empty() {
        return Ok(());
    }
    queue.call_started(sent);
    let answer = tokio::time::timeout(CALL_TIMEOUT, ledger.debit(&requests)).await;
    let answer = answer.unwrap_or(Err(ServerFault::Timeout));
    let now = clock.monotonic();
    queue.call_ended();
    match answer {
        Ok(grants) => {
            for (request, grant) in requests.into_iter().zip(grants) {
                queue.apply_grant(request, grant, sent, now);
            }
            Ok(())
        }
        Err(fault) => {
            requests.iter().for_each(LeaseRequest::failed);
            Err(fault)
        }
    }
}
