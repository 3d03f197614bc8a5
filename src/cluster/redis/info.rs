//! Parser of Redis `INFO`, and the checks that decide whether a fleet can rely on the server.

use std::collections::HashMap;

use crate::cluster::protocol::{ServerFault, Unfit};

/// Lowest major version. It is the first whose scripts can be allowed on a server that is full.
const VERSION_MIN: u32 = 7;

/// Fields of `INFO` that the checks need.
pub(super) struct Info {
    version: String,
    is_cluster: bool,
    is_primary: bool,
    /// Memory limit in bytes; 0: no limit.
    max_memory: u64,
    policy: String,
    /// Replication id. It changes after each restart, and when another server has taken this one's
    /// place; also on a primary that has had no replica for an hour.
    pub(super) replid: String,
    /// Id of the process.
    pub(super) run_id: String,
}

impl Info {
    /// Parses the reply to `INFO`.
    pub(super) fn parse(text: &str) -> Result<Self, ServerFault> {
        let lines = text.lines().filter_map(|line| line.trim_end().split_once(':'));
        let fields: HashMap<&str, &str> = lines.collect();
        let field = |name: &str| {
            fields.get(name).copied().ok_or(ServerFault::Unreadable("INFO lacks a field"))
        };
        Ok(Self {
            version: field("redis_version")?.to_owned(),
            is_cluster: field("cluster_enabled")? == "1",
            is_primary: field("role")? == "master",
            max_memory: field("maxmemory")?
                .parse()
                .map_err(|_| ServerFault::Unreadable("maxmemory in INFO is not a number"))?,
            policy: field("maxmemory_policy")?.to_owned(),
            replid: field("master_replid")?.to_owned(),
            run_id: field("run_id")?.to_owned(),
        })
    }

    /// Checks that the server cannot forget a purge.
    pub(super) fn check(&self) -> Result<(), Unfit> {
        let major = self.version.split('.').next().and_then(|major| major.parse::<u32>().ok());
        if major.is_none_or(|major| major < VERSION_MIN) {
            return Err(Unfit::Version { version: self.version.clone() });
        }
        if self.is_cluster {
            return Err(Unfit::Cluster);
        }
        if !self.is_primary {
            return Err(Unfit::Replica);
        }
        if self.max_memory > 0 && self.policy != "noeviction" {
            return Err(Unfit::Evicts { policy: self.policy.clone() });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "# Server\r\nredis_version:7.0.15\r\nrun_id:r\r\n# Memory\r\nmaxmemory:1000\r\n\
                        maxmemory_policy:noeviction\r\n# Replication\r\nrole:master\r\n\
                        master_replid:abc\r\n# Cluster\r\ncluster_enabled:0\r\n";

    fn check(from: &str, to: &str) -> Result<(), Unfit> {
        assert!(GOOD.contains(from));
        Info::parse(&GOOD.replace(from, to)).unwrap().check()
    }

    #[test]
    fn only_a_server_that_cannot_forget_a_purge_is_fit() {
        assert_eq!(check("master_replid:abc", "master_replid:abc"), Ok(()));
        assert_eq!(check("cluster_enabled:0", "cluster_enabled:1"), Err(Unfit::Cluster));
        assert_eq!(check("role:master", "role:slave"), Err(Unfit::Replica));
        let version = "6.2.7".to_owned();
        assert_eq!(check("7.0.15", "6.2.7"), Err(Unfit::Version { version }));
        let policy = "volatile-lru".to_owned();
        assert_eq!(check("noeviction", "volatile-lru"), Err(Unfit::Evicts { policy }));
        let unlimited = GOOD.replace("maxmemory:1000", "maxmemory:0");
        let unlimited = unlimited.replace("noeviction", "allkeys-lru");
        assert_eq!(Info::parse(&unlimited).unwrap().check(), Ok(()));
    }

    #[test]
    fn an_info_without_a_field_is_unreadable() {
        assert!(matches!(Info::parse("redis_version:7"), Err(ServerFault::Unreadable(_))));
    }
}
