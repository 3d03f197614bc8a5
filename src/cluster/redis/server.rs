//! Redis server of the fleet, with the connections of one node.
//!
//! A node has two connections: one waits for records, the other takes every other call. Both are
//! opened together, and the server is checked before either is used. No connection reconnects by
//! itself: a server that was away may have forgotten a purge.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, ErrorKind, RedisError};
use tokio::sync::Mutex;

use super::info::Info;
use super::scripts::Scripts;
use super::url::RedisUrl;
use crate::cluster::protocol::{NodeId, ServerFault};
use crate::file_id::FileId;

/// Timeout of opening a connection, TLS and authentication included.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Timeout of every call but a read. A request that waits for a purge waits no longer than this.
const CALL_TIMEOUT: Duration = Duration::from_secs(1);
/// Time that a read waits for a record. Each node writes one in this time.
pub(super) const READ_WAIT: Duration = Duration::from_secs(1);

/// Redis server of the fleet, with the connections of one node.
pub(in crate::cluster) struct RedisServer {
    client: Client,
    pub(super) keys: Keys,
    pub(super) node: NodeId,
    pub(super) scripts: Scripts,
    /// `None` before the first join and after a failed one.
    pub(super) connections: ArcSwapOption<Connections>,
}

/// Two connections that were opened together.
pub(super) struct Connections {
    pub(super) reader: Mutex<MultiplexedConnection>,
    pub(super) commands: MultiplexedConnection,
}

/// Names of the keys on the server.
pub(super) struct Keys {
    namespace: String,
    pub(super) state: String,
    pub(super) stream: String,
}

impl Keys {
    fn new(namespace: &str) -> Self {
        let named = |name: &str| format!("{namespace}:{name}");
        Self { namespace: namespace.to_owned(), state: named("state"), stream: named("stream") }
    }

    /// Returns the keys of a file in the order of the scripts: fence, value, fill lease.
    pub(super) fn of_file(&self, file: &FileId) -> [String; 3] {
        [self.of("fence", file.as_str()), self.of("list", file.as_str()), self.fill_lease(file)]
    }

    /// Returns the key of a file's fill lease.
    pub(super) fn fill_lease(&self, file: &FileId) -> String {
        self.of("fill", file.as_str())
    }

    /// Returns the key of one item of a kind.
    pub(super) fn of(&self, kind: &str, id: &str) -> String {
        format!("{}:{kind}:{id}", self.namespace)
    }
}

impl RedisServer {
    pub(in crate::cluster) fn new(url: &RedisUrl, namespace: &str, node: NodeId) -> Self {
        Self {
            client: url.client(),
            keys: Keys::new(namespace),
            node,
            scripts: Scripts::new(),
            connections: ArcSwapOption::empty(),
        }
    }

    pub(super) fn connections(&self) -> Result<Arc<Connections>, ServerFault> {
        self.connections.load_full().ok_or(ServerFault::NotConnected)
    }

    pub(super) fn commands(&self) -> Result<MultiplexedConnection, ServerFault> {
        Ok(self.connections()?.commands.clone())
    }

    /// Changes a setting of the server.
    #[cfg(test)]
    pub(in crate::cluster) async fn configure(&self, key: &str, value: &str) {
        let mut commands = self.commands().unwrap();
        let set: Result<(), _> =
            redis::cmd("CONFIG").arg(&["SET", key, value]).query_async(&mut commands).await;
        set.unwrap();
    }

    /// Opens both connections, and checks the server.
    pub(super) async fn connect(&self) -> Result<(Connections, Info), ServerFault> {
        let config = AsyncConnectionConfig::new().set_connection_timeout(Some(CONNECT_TIMEOUT));
        let of_commands = config.clone().set_response_timeout(Some(CALL_TIMEOUT));
        let of_reader = config.set_response_timeout(Some(READ_WAIT + CALL_TIMEOUT));
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
        Ok((Connections { reader: Mutex::new(reader), commands }, info))
    }
}

async fn info_of(connection: &mut MultiplexedConnection) -> Result<Info, ServerFault> {
    let text: String = redis::cmd("INFO").query_async(connection).await?;
    Info::parse(&text)
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
