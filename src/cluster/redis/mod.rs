//! Redis client of the fleet: implements the traits of `bus` over Redis 7 or Valkey, with one
//! primary.
//!
//! A node has two connections: one waits for records, the other takes every other call. Both are
//! opened together, and the server is checked before either is used. No connection reconnects by
//! itself: a server that was away may have forgotten a purge.

mod info;
mod ledger;
mod records;
mod scripts;
mod url;
mod values;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use redis::aio::MultiplexedConnection;
use redis::streams::{StreamReadOptions, StreamReadReply};
use redis::{AsyncCommands as _, AsyncConnectionConfig, Client, ErrorKind, RedisError};
use tokio::sync::Mutex;

use super::bus::{BATCH_MAX, Joined, NodeId, Position, Record, ServerFault, Stream, Taken, What};
use crate::cache::Target;
use crate::file_id::FileId;
use crate::invalidation::Purge;
use info::Info;
use scripts::Scripts;
pub use url::{InvalidRedisUrl, RedisUrl};

/// Timeout of opening a connection, TLS and authentication included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Timeout of every call but a read. A request that waits for a purge waits no longer than this.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);
/// Time that a read waits for a record. Each node writes one in this time.
const BLOCK: Duration = Duration::from_secs(1);

/// Key name of fill leases.
const FILL: &str = "fill";

/// Redis server of the fleet, with the connections of one node.
pub(super) struct RedisServer {
    client: Client,
    keys: Keys,
    node: NodeId,
    scripts: Scripts,
    session: ArcSwapOption<Session>,
}

/// Two connections that were opened together.
struct Session {
    reader: Mutex<MultiplexedConnection>,
    commands: MultiplexedConnection,
}

/// Names of the keys on the server.
struct Keys {
    namespace: String,
    state: String,
    stream: String,
}

impl Keys {
    fn new(namespace: &str) -> Self {
        let named = |name: &str| format!("{namespace}:{name}");
        Self { namespace: namespace.to_owned(), state: named("state"), stream: named("stream") }
    }

    /// Returns the keys of a file in the order of the scripts: fence, value, lease to fetch it.
    fn of_file(&self, file: &FileId) -> [String; 3] {
        ["fence", "list", FILL].map(|what| self.of(what, file.as_str()))
    }

    fn of(&self, what: &str, id: &str) -> String {
        format!("{}:{what}:{id}", self.namespace)
    }
}

impl RedisServer {
    pub(super) fn new(url: &RedisUrl, namespace: &str, node: NodeId) -> Self {
        Self {
            client: url.client(),
            keys: Keys::new(namespace),
            node,
            scripts: Scripts::new(),
            session: ArcSwapOption::empty(),
        }
    }

    fn session(&self) -> Result<Arc<Session>, ServerFault> {
        self.session.load_full().ok_or(ServerFault::NotConnected)
    }

    fn commands(&self) -> Result<MultiplexedConnection, ServerFault> {
        Ok(self.session()?.commands.clone())
    }

    /// Changes a setting of the server.
    #[cfg(test)]
    pub(super) async fn configure(&self, key: &str, value: &str) {
        let mut commands = self.commands().unwrap();
        let set: Result<(), _> =
            redis::cmd("CONFIG").arg(&["SET", key, value]).query_async(&mut commands).await;
        set.unwrap();
    }

    async fn connect(&self) -> Result<(Session, Info), ServerFault> {
        let config = AsyncConnectionConfig::new().set_connection_timeout(Some(CONNECT_TIMEOUT));
        let of_commands = config.clone().set_response_timeout(Some(ANSWER_TIMEOUT));
        let of_reader = config.set_response_timeout(Some(BLOCK + ANSWER_TIMEOUT));
        let mut commands =
            self.client.get_multiplexed_async_connection_with_config(&of_commands).await?;
        let info = info_of(&mut commands).await?;
        info.check()?;
        let mut reader =
            self.client.get_multiplexed_async_connection_with_config(&of_reader).await?;
        // The host name may lead to another server by now.
        if info_of(&mut reader).await?.run_id != info.run_id {
            return Err(ServerFault::Replaced);
        }
        Ok((Session { reader: Mutex::new(reader), commands }, info))
    }
}

async fn info_of(connection: &mut MultiplexedConnection) -> Result<Info, ServerFault> {
    let text: String = redis::cmd("INFO").query_async(connection).await?;
    Info::parse(&text)
}

/// Returns an epoch that was not used before.
fn fresh_epoch() -> String {
    format!("{:032x}", fastrand::u128(..))
}

impl Stream for RedisServer {
    async fn join(&self) -> Result<Joined, ServerFault> {
        self.session.store(None);
        let connected = tokio::time::timeout(CONNECT_TIMEOUT * 3, self.connect()).await;
        let (session, info) = connected.map_err(|_| ServerFault::Timeout)??;
        let mut commands = session.commands.clone();
        let mut join = self.scripts.join.prepare_invoke();
        join.key(&self.keys.state).key(&self.keys.stream).arg(fresh_epoch()).arg(info.replid);
        let (epoch, seq, id, nodes): (String, u64, String, Vec<String>) =
            join.invoke_async(&mut commands).await?;
        self.session.store(Some(Arc::new(session)));
        let nodes = nodes.iter().filter_map(|node| NodeId::parse(node)).collect();
        Ok(Joined { stands: Position { epoch, seq, id }, nodes })
    }

    async fn read(&self, position: &Position) -> Result<Vec<Record>, ServerFault> {
        let session = self.session()?;
        let mut reader = session.reader.lock().await;
        let block = usize::try_from(BLOCK.as_millis()).unwrap_or(usize::MAX);
        let options = StreamReadOptions::default().count(BATCH_MAX).block(block);
        let (keys, ids) = ([&self.keys.stream], [&position.id]);
        let reply: Option<StreamReadReply> = reader.xread_options(&keys, &ids, &options).await?;
        let entries = reply.into_iter().flat_map(|reply| reply.keys).flat_map(|key| key.ids);
        Ok(entries.map(|entry| records::parse(&entry)).collect())
    }

    async fn tell(&self, what: What) -> Result<Duration, ServerFault> {
        let mut commands = self.commands()?;
        let mut beat = self.scripts.beat.prepare_invoke();
        beat.key(&self.keys.state).key(&self.keys.stream).arg(fresh_epoch());
        let micros: u64 =
            beat.arg(records::fields(self.node, &what)).invoke_async(&mut commands).await?;
        Ok(Duration::from_micros(micros))
    }

    async fn purge(&self, purge: &Purge) -> Result<Taken, ServerFault> {
        let mut commands = self.commands()?;
        let mut script = self.scripts.purge.prepare_invoke();
        script.key(&self.keys.state).key(&self.keys.stream);
        if let Target::File(file) = &purge.target {
            for key in self.keys.of_file(file) {
                script.key(key);
            }
        }
        let fields = records::fields(self.node, &What::Purge(*purge));
        let taken = script.arg(fresh_epoch()).arg(fields).invoke_async(&mut commands).await;
        let (epoch, seq) = taken.map_err(ServerFault::from).inspect_err(|fault| {
            if matches!(fault, ServerFault::Timeout) {
                // An event may purge many files: after one timeout the next ones must not wait as
                // long.
                self.session.store(None);
            }
        })?;
        Ok(Taken { epoch, seq })
    }
}

impl From<RedisError> for ServerFault {
    fn from(error: RedisError) -> Self {
        if error.is_timeout() {
            Self::Timeout
        } else if matches!(error.kind(), ErrorKind::UnexpectedReturnType | ErrorKind::Parse) {
            Self::Unreadable("a reply has an unexpected type")
        } else {
            Self::Failed(Box::new(error))
        }
    }
}
