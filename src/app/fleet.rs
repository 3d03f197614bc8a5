//! A gateway that is one of several.

use std::num::NonZeroU32;
use std::sync::Arc;

use tokio::sync::watch;

use super::LAST_WORDS;
use crate::cluster::Cluster;
use crate::gateway::Gateway;
use crate::server::Drain;

/// Keeps it one of them until it ends, and then says so to the others.
pub(super) async fn belong(gateway: Arc<Gateway>, cluster: Arc<Cluster>, drain: Drain) {
    tokio::select! {
        () = Arc::clone(&cluster).run() => {}
        () = share_quotas(&gateway, cluster.nodes()) => {}
        () = drain.begun() => {}
    }
    _ = tokio::time::timeout(LAST_WORDS, cluster.leave()).await;
    let untold = cluster.readings().pending_purges;
    if untold > 0 {
        tracing::error!(untold, "purges end with this gateway that the others have not heard of");
    }
}

/// Gives it its part of each quota, whenever there are more or fewer to share in it.
async fn share_quotas(gateway: &Gateway, mut nodes: watch::Receiver<NonZeroU32>) {
    while nodes.changed().await.is_ok() {
        let nodes = *nodes.borrow_and_update();
        gateway.policy.rcu(|policy| policy.shared_by(nodes));
        gateway.policy.load().limits.clamp();
        tracing::info!(nodes, "so many gateways share the quotas");
    }
}
