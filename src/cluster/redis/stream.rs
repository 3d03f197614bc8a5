//! Stream of purges on Redis: joins, reads, heartbeats and purges.

use std::sync::Arc;
use std::time::Duration;

use redis::AsyncCommands as _;
use redis::streams::{StreamReadOptions, StreamReadReply};

use super::records;
use super::server::{CONNECT_TIMEOUT, READ_WAIT, RedisServer};
use crate::cache::Target;
use crate::cluster::protocol::{
    Joined, NodeId, PurgeStream, READ_BATCH_MAX, Record, RecordKind, RecordNumber, ServerFault,
    StreamPosition,
};
use crate::invalidation::Purge;

/// Returns an epoch that was not used before.
fn fresh_epoch() -> String {
    format!("{:032x}", fastrand::u128(..))
}

impl PurgeStream for RedisServer {
    async fn join(&self) -> Result<Joined, ServerFault> {
        self.connections.store(None);
        let connected = tokio::time::timeout(CONNECT_TIMEOUT * 3, self.connect()).await;
        let (connections, info) = connected.map_err(|_| ServerFault::Timeout)??;
        let mut commands = connections.commands.clone();
        let mut join = self.scripts.join.prepare_invoke();
        join.key(&self.keys.state).key(&self.keys.stream).arg(fresh_epoch()).arg(info.replid);
        let (epoch, seq, id, nodes): (String, u64, String, Vec<String>) =
            join.invoke_async(&mut commands).await?;
        self.connections.store(Some(Arc::new(connections)));
        let nodes = nodes.iter().filter_map(|node| NodeId::parse(node)).collect();
        Ok(Joined { end: StreamPosition { epoch, seq, id }, nodes })
    }

    async fn read(&self, position: &StreamPosition) -> Result<Vec<Record>, ServerFault> {
        let connections = self.connections()?;
        let mut reader = connections.reader.lock().await;
        let wait = usize::try_from(READ_WAIT.as_millis()).unwrap_or(usize::MAX);
        let options = StreamReadOptions::default().count(READ_BATCH_MAX).block(wait);
        let (keys, ids) = ([&self.keys.stream], [&position.id]);
        let reply: Option<StreamReadReply> = reader.xread_options(&keys, &ids, &options).await?;
        let entries = reply.into_iter().flat_map(|reply| reply.keys).flat_map(|key| key.ids);
        Ok(entries.map(|entry| records::parse(&entry)).collect())
    }

    async fn append(&self, kind: RecordKind) -> Result<Duration, ServerFault> {
        let mut commands = self.commands()?;
        let mut script = self.scripts.append.prepare_invoke();
        script.key(&self.keys.state).key(&self.keys.stream).arg(fresh_epoch());
        let micros: u64 =
            script.arg(records::fields(self.node, &kind)).invoke_async(&mut commands).await?;
        Ok(Duration::from_micros(micros))
    }

    async fn purge(&self, purge: &Purge) -> Result<RecordNumber, ServerFault> {
        let mut commands = self.commands()?;
        let mut script = self.scripts.purge.prepare_invoke();
        script.key(&self.keys.state).key(&self.keys.stream);
        if let Target::File(file) = &purge.target {
            for key in self.keys.of_file(file) {
                script.key(key);
            }
        }
        let fields = records::fields(self.node, &RecordKind::Purge(*purge));
        let number = script.arg(fresh_epoch()).arg(fields).invoke_async(&mut commands).await;
        let (epoch, seq) = number.map_err(ServerFault::from).inspect_err(|fault| {
            if matches!(fault, ServerFault::Timeout) {
                // An event may purge many files: after one timeout the next ones must not wait as
                // long.
                self.connections.store(None);
            }
        })?;
        Ok(RecordNumber { epoch, seq })
    }
}
