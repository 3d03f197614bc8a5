//! Second-level values on Redis: lookups, stores and leases by file.

use std::time::Duration;

use bytes::Bytes;

use super::{FILL, RedisServer};
use crate::cluster::bus::{Found, LEASE, Look, ServerFault, Ticket, Token, Values};
use crate::file_id::FileId;

impl Values for RedisServer {
    async fn look(&self, file: &FileId, token: Token) -> Result<Look, ServerFault> {
        let mut commands = self.commands()?;
        let mut look = self.scripts.look.prepare_invoke();
        look.key(&self.keys.state);
        for key in self.keys.of_file(file) {
            look.key(key);
        }
        look.arg(token.0).arg(millis(LEASE));
        let (stamp, fence, micros, found, value): (String, String, u64, String, Vec<u8>) =
            look.invoke_async(&mut commands).await?;
        let ticket = Ticket { stamp, fence, at: Duration::from_micros(micros) };
        let found = match found.as_str() {
            "found" => Found::Value(value.into()),
            "lead" => Found::Lead,
            "wait" => Found::Wait,
            _ => return Err(ServerFault::Unreadable("the result of a lookup is unknown")),
        };
        Ok(Look { ticket, found })
    }

    async fn keep(
        &self,
        file: &FileId,
        ticket: &Ticket,
        token: Token,
        value: Bytes,
        ttl: Duration,
    ) -> Result<bool, ServerFault> {
        let mut commands = self.commands()?;
        let mut keep = self.scripts.keep.prepare_invoke();
        keep.key(&self.keys.state);
        for key in self.keys.of_file(file) {
            keep.key(key);
        }
        let at = u64::try_from(ticket.at.as_micros()).unwrap_or(u64::MAX);
        keep.arg(&ticket.stamp).arg(&ticket.fence).arg(at).arg(token.0).arg(millis(ttl).max(1));
        Ok(keep.arg(&value[..]).invoke_async(&mut commands).await?)
    }

    async fn release(&self, file: &FileId, token: Token) -> Result<(), ServerFault> {
        let mut commands = self.commands()?;
        let mut release = self.scripts.release.prepare_invoke();
        release.key(self.keys.of(FILL, file.as_str())).arg(token.0);
        Ok(release.invoke_async(&mut commands).await?)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
