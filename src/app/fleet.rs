//! Fleet membership task: keeps this gateway in its fleet and adjusts its share of the quotas.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::cluster::Cluster;
use crate::gateway::Gateway;
use crate::server::Drain;

/// Time limit for the message that tells the fleet that this gateway leaves.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(1);

/// Runs the fleet membership of this gateway until it drains, then tells the fleet that it leaves.
pub(super) async fn run_membership(gateway: Arc<Gateway>, cluster: Arc<Cluster>, drain: Drain) {
    tokio::select! {
        () = Arc::clone(&cluster).run() => {}
        () = share_quotas(&gateway, cluster.nodes()) => {}
        () = drain.begun() => {}
    }
    _ = tokio::time::timeout(LEAVE_TIMEOUT, cluster.leave()).await;
    let untold = cluster.status().pending_purges;
    if untold > 0 {
        tracing::error!(untold, "the gateway ends with purges that the other gateways did not get");
    }
}

/// Adjusts this gateway's share of each quota when the number of gateways changes.
async fn share_quotas(gateway: &Gateway, mut nodes: watch::Receiver<NonZeroU32>) {
    while nodes.changed().await.is_ok() {
        let nodes = *nodes.borrow_and_update();
        gateway.rules.rcu(|rules| rules.shared_by(nodes));
        gateway.rules.load().limits.clamp();
        tracing::info!(nodes, "number of gateways changed: quotas are divided again");
    }
}
