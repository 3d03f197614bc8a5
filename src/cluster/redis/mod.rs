//! The server of a fleet, as it really is: Redis 7 or Valkey, one primary.
//!
//! Two connections for each node: one waits for records, the other takes everything else. Both
//! are made anew together, and what is on the server is looked at before either is used. Nothing
//! reconnects behind our back: a server that was away may have forgotten something.

mod info;
mod records;
mod scripts;
mod url;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use redis::aio::MultiplexedConnection;
use redis::streams::{StreamReadOptions, StreamReadReply};
use redis::{AsyncCommands as _, AsyncConnectionConfig, Client, ErrorKind, RedisError};
use tokio::sync::Mutex;

use super::bus::{
    BATCH_MAX, Found, Joined, LEASE, Ledger, Look, NodeId, Position, Record, ServerFault, Stream,
    Taken, Ticket, Token, Values, What,
};
use crate::cache::Target;
use crate::file_id::FileId;
use crate::invalidation::Purge;
use crate::limit::{Claim, Grant, SharedKey};
use info::Info;
use scripts::Scripts;
pub use url::{InvalidRedisUrl, RedisUrl};

/// How long a connection may take, TLS and password included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// How long anything but a read may take. Whoever waits for a purge waits no longer than this.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a read waits for a record. Each node tells one in this time.
const BLOCK: Duration = Duration::from_secs(1);

pub(super) struct RedisServer {
    client: Client,
    keys: Keys,
    node: NodeId,
    scripts: Scripts,
    session: ArcSwapOption<Session>,
}

/// Connections that were made together.
struct Session {
    reader: Mutex<MultiplexedConnection>,
    commands: MultiplexedConnection,
}

/// The names of everything on the server.
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

    /// Changes the server's own settings.
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
        // The name may lead elsewhere by now.
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

/// An epoch that nobody had before.
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
            for what in ["fence", "list", "fill"] {
                script.key(self.keys.of(what, file.as_str()));
            }
        }
        let fields = records::fields(self.node, &What::Purge(*purge));
        let taken = script.arg(fresh_epoch()).arg(fields).invoke_async(&mut commands).await;
        let (epoch, seq) = taken.map_err(ServerFault::from).inspect_err(|fault| {
            if matches!(fault, ServerFault::Timeout) {
                // An event may be about many files: the next one is not to wait as long.
                self.session.store(None);
            }
        })?;
        Ok(Taken { epoch, seq })
    }
}

impl Values for RedisServer {
    async fn look(&self, file: &FileId, token: Token) -> Result<Look, ServerFault> {
        let mut commands = self.commands()?;
        let mut look = self.scripts.look.prepare_invoke();
        look.key(&self.keys.state);
        for what in ["fence", "list", "fill"] {
            look.key(self.keys.of(what, file.as_str()));
        }
        look.arg(token.0).arg(millis(LEASE));
        let (stamp, fence, micros, found, value): (String, String, u64, String, Vec<u8>) =
            look.invoke_async(&mut commands).await?;
        let ticket = Ticket { stamp, fence, at: Duration::from_micros(micros) };
        let found = match found.as_str() {
            "found" => Found::Value(value.into()),
            "lead" => Found::Lead,
            "wait" => Found::Wait,
            _ => return Err(ServerFault::Unreadable("what a look found")),
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
        for what in ["fence", "list", "fill"] {
            keep.key(self.keys.of(what, file.as_str()));
        }
        let at = u64::try_from(ticket.at.as_micros()).unwrap_or(u64::MAX);
        keep.arg(&ticket.stamp).arg(&ticket.fence).arg(at).arg(token.0).arg(millis(ttl).max(1));
        Ok(keep.arg(&value[..]).invoke_async(&mut commands).await?)
    }

    async fn release(&self, file: &FileId, token: Token) -> Result<(), ServerFault> {
        let mut commands = self.commands()?;
        let mut release = self.scripts.release.prepare_invoke();
        release.key(self.keys.of("fill", file.as_str())).arg(token.0);
        Ok(release.invoke_async(&mut commands).await?)
    }
}

impl Ledger for RedisServer {
    async fn debit(&self, claims: &[Claim]) -> Result<Vec<Grant>, ServerFault> {
        let mut commands = self.commands()?;
        let mut script = self.scripts.debit.prepare_invoke();
        for Claim { key, terms, debit, .. } in claims {
            script.key(match key {
                SharedKey::Budget => self.keys.of("quota", "budget"),
                SharedKey::Caller(name) => self.keys.of("quota:caller", name),
                SharedKey::Subject(subject) => self.keys.of("quota:sub", &subject.to_string()),
            });
            // Fractions count: a cell of a high rate is few microseconds.
            let quota = terms.quota;
            let cell = quota.interval().as_secs_f64() * 1e6;
            script.arg(cell).arg(quota.burst.get());
            script.arg(debit.asked).arg(debit.owed).arg(debit.reserve);
        }
        let grants: Vec<(u32, u32, u64)> = script.invoke_async(&mut commands).await?;
        if grants.len() != claims.len() {
            return Err(ServerFault::Unreadable("a grant is missing"));
        }
        let grant = |(granted, left, micros)| {
            let wait = Duration::from_micros(micros);
            Grant { granted, left, wait }
        };
        Ok(grants.into_iter().map(grant).collect())
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl From<RedisError> for ServerFault {
    fn from(error: RedisError) -> Self {
        if error.is_timeout() {
            Self::Timeout
        } else if matches!(error.kind(), ErrorKind::UnexpectedReturnType | ErrorKind::Parse) {
            Self::Unreadable("it is of another type")
        } else {
            Self::Failed(Box::new(error))
        }
    }
}
