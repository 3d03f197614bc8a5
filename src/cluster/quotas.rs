//! Client of the quota ledger: sends this node's lease requests to Redis, and settles the grants.
//!
//! The requests of one interval go in one call.

use std::sync::Arc;
use std::time::Duration;

use super::bus::{Ledger, ServerFault};
use super::standing::{ClusterState, Standing};
use crate::clock::Clock;
use crate::limit::{Claim, Desk};

/// Pause between two calls. A shorter one keeps closer to the quota; each call costs Redis some
/// time.
const INTERVAL: Duration = Duration::from_millis(20);

/// Interval of the check of the connection while there are no lease requests.
const LOOK: Duration = Duration::from_millis(100);

/// Timeout of a call to the ledger. Requests stop waiting long before it.
const ANSWER: Duration = Duration::from_millis(250);

/// Lease requests per call. A call is one script, and Redis does nothing else while it runs.
const CLAIMS_MAX: usize = 200;

/// Runs the ledger client. Does not return.
pub(super) async fn keep<L: Ledger>(
    ledger: Arc<L>,
    desk: Arc<Desk>,
    standing: Arc<Standing>,
    clock: Clock,
) {
    loop {
        _ = tokio::time::timeout(LOOK, desk.has_claims()).await;
        let now = clock.monotonic();
        let is_there = standing.state(now) == ClusterState::Connected;
        desk.note_fleet(is_there, standing.nodes());
        if call(&*ledger, &desk, &clock).await.is_err() {
            // Each node enforces its own part of the quota until the next check.
            desk.note_fleet(false, standing.nodes());
            tokio::time::sleep(LOOK).await;
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

async fn call<L: Ledger>(ledger: &L, desk: &Desk, clock: &Clock) -> Result<(), ServerFault> {
    let sent = clock.monotonic();
    let claims = desk.collect(CLAIMS_MAX, sent);
    if claims.is_empty() {
        return Ok(());
    }
    desk.ask(sent);
    let answer = tokio::time::timeout(ANSWER, ledger.debit(&claims)).await;
    let answer = answer.unwrap_or(Err(ServerFault::Timeout));
    let now = clock.monotonic();
    desk.answered();
    match answer {
        Ok(grants) => {
            for (claim, grant) in claims.into_iter().zip(grants) {
                desk.settle(claim, grant, sent, now);
            }
            Ok(())
        }
        Err(fault) => {
            claims.iter().for_each(Claim::unsettled);
            Err(fault)
        }
    }
}
