//! Purge: what to invalidate, in which mode, and its source.

use crate::cache::{PurgeMode, Target};

/// Source of an invalidation.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[repr(u8)]
pub enum InvalidationSource {
    /// An operator, through the admin API.
    Admin,
    /// The gateway's link to the fleet. It may have missed a purge, so it purges everything.
    Cluster,
    /// A webhook delivery of ImageKit.
    Webhook,
}

impl InvalidationSource {
    pub const ALL: [Self; 3] = [Self::Admin, Self::Cluster, Self::Webhook];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Cluster => "cluster",
            Self::Webhook => "webhook",
        }
    }
}

/// Purge: what to invalidate, in which mode, and its source.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Purge {
    pub target: Target,
    pub mode: PurgeMode,
    pub source: InvalidationSource,
}
