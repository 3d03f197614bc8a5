//! Reasons why a call to the fleet's server failed, or why a server cannot be used.

/// Reason why a call to the server failed.
#[derive(Debug, thiserror::Error)]
pub(in crate::cluster) enum ServerFault {
    #[error("it cannot be reached, or failed: {0}")]
    Failed(Box<dyn std::error::Error + Send + Sync>),
    #[error("there is no connection to it")]
    NotConnected,
    #[error(transparent)]
    Refused(#[from] Unfit),
    #[error("it did not answer in time")]
    Timeout,
    #[error("its response cannot be read: {0}")]
    Unreadable(&'static str),
    #[error("another server has taken its place")]
    Replaced,
    #[error("its stream delivers no record, not even this gateway's own heartbeat")]
    Silent,
}

/// Reason why a server is not fit to be shared by a fleet.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(in crate::cluster) enum Unfit {
    #[error(
        "it is a Redis Cluster, whose parts fail one by one; use one primary, with replicas if \
         you like"
    )]
    Cluster,
    #[error(
        "it may evict keys (maxmemory-policy {policy}), and with them the fences of purges; set \
         maxmemory-policy noeviction"
    )]
    Evicts { policy: String },
    #[error("it is a replica; name the primary")]
    Replica,
    #[error("it is of version {version}; Redis 7 or Valkey is needed")]
    Version { version: String },
}
