//! Quota ledger on Redis: debits the fleet's quotas with one script.

use std::time::Duration;

use super::server::RedisServer;
use crate::cluster::protocol::{QuotaLedger, ServerFault};
use crate::limit::{LeaseGrant, LeaseRequest, SharedKey};

impl QuotaLedger for RedisServer {
    async fn debit(&self, requests: &[LeaseRequest]) -> Result<Vec<LeaseGrant>, ServerFault> {
        let mut commands = self.commands()?;
        let mut script = self.scripts.debit.prepare_invoke();
        for LeaseRequest { key, terms, cells, .. } in requests {
            script.key(match key {
                SharedKey::Budget => self.keys.of("quota", "budget"),
                SharedKey::Caller(name) => self.keys.of("quota:caller", name),
                SharedKey::Subject(subject) => self.keys.of("quota:sub", &subject.to_string()),
            });
            // A fraction of a microsecond counts: a cell of a high rate lasts few microseconds.
            let quota = terms.quota;
            let cell = quota.interval().as_secs_f64() * 1e6;
            script.arg(cell).arg(quota.burst.get());
            script.arg(cells.requested).arg(cells.owed).arg(cells.reserve);
        }
        let grants: Vec<(u32, u32, u64)> = script.invoke_async(&mut commands).await?;
        if grants.len() != requests.len() {
            return Err(ServerFault::Unreadable("a grant is missing"));
        }
        let grant = |(granted, left, micros)| {
            let wait = Duration::from_micros(micros);
            LeaseGrant { granted, left, wait }
        };
        Ok(grants.into_iter().map(grant).collect())
    }
}
