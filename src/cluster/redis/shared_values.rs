//! Second-level values on Redis: lookups, stores and fill leases by file.

use std::time::Duration;

use bytes::Bytes;

use super::server::RedisServer;
use crate::cluster::protocol::{
    FILL_LEASE_TIME, FenceSnapshot, LeaseToken, LookupReply, LookupResult, ServerFault,
    SharedValues,
};
use crate::file_id::FileId;

impl SharedValues for RedisServer {
    async fn look_up(&self, file: &FileId, token: LeaseToken) -> Result<LookupReply, ServerFault> {
        let mut commands = self.commands()?;
        let mut lookup = self.scripts.lookup.prepare_invoke();
        lookup.key(&self.keys.state);
        for key in self.keys.of_file(file) {
            lookup.key(key);
        }
        lookup.arg(token.0).arg(millis(FILL_LEASE_TIME));
        let (stamp, fence, micros, result, value): (String, String, u64, String, Vec<u8>) =
            lookup.invoke_async(&mut commands).await?;
        let snapshot = FenceSnapshot { stamp, fence, at: Duration::from_micros(micros) };
        let result = match result.as_str() {
            "found" => LookupResult::Value(value.into()),
            "lead" => LookupResult::LeaseGranted,
            "wait" => LookupResult::LeaseTaken,
            _ => return Err(ServerFault::Unreadable("the result of a lookup is unknown")),
        };
        Ok(LookupReply { snapshot, result })
    }

    async fn keep(
        &self,
        file: &FileId,
        snapshot: &FenceSnapshot,
        token: LeaseToken,
        value: Bytes,
        ttl: Duration,
    ) -> Result<bool, ServerFault> {
        let mut commands = self.commands()?;
        let mut keep = self.scripts.keep.prepare_invoke();
        keep.key(&self.keys.state);
        for key in self.keys.of_file(file) {
            keep.key(key);
        }
        let at = u64::try_from(snapshot.at.as_micros()).unwrap_or(u64::MAX);
        keep.arg(&snapshot.stamp).arg(&snapshot.fence).arg(at);
        keep.arg(token.0).arg(millis(ttl).max(1));
        Ok(keep.arg(&value[..]).invoke_async(&mut commands).await?)
    }

    async fn release(&self, file: &FileId, token: LeaseToken) -> Result<(), ServerFault> {
        let mut commands = self.commands()?;
        let mut release = self.scripts.release.prepare_invoke();
        release.key(self.keys.fill_lease(file)).arg(token.0);
        Ok(release.invoke_async(&mut commands).await?)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
