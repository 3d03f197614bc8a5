//! Quotas that the fleet shares: what the shares of this node claim goes to the ledger, all of it
//! together and not too often, and the answers come back to them.

use std::sync::Arc;
use std::time::Duration;

use super::bus::{Ledger, ServerFault};
use super::standing::{ClusterState, Standing};
use crate::clock::Clock;
use crate::limit::{Claim, Desk};

/// Between two calls. More often keeps closer to the quota; each takes the server some time.
const INTERVAL: Duration = Duration::from_millis(20);

/// How often to see whether the fleet is there, where nobody claims anything.
const LOOK: Duration = Duration::from_millis(100);

/// How long the ledger may take. Long before that nobody waits for it any more.
const ANSWER: Duration = Duration::from_millis(250);

/// Claims of one call: one script, during which the server does nothing else.
const CLAIMS_MAX: usize = 200;

/// For as long as the process lives.
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
            // Its own part is what each has, until the next look.
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
