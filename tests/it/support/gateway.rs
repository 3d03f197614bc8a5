//! Gateway under test: runs in this process, in front of a scripted origin, on a manual clock.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ikgate::app::App;
use ikgate::clock::Clock;
use ikgate::config::{self, Settings};
use ikgate::server::{DrainEnd, PassedSockets};
use ikgate::telemetry::{Metrics, metrics_layer};
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::layer::SubscriberExt as _;

use super::{Answer, Connection, Exchanges, Origin, get, send, versions_of};

/// Private key that goes to the upstream and nowhere else.
pub(crate) const PRIVATE_KEY: &str = "private_canary=";

/// Quotas that no test reaches by accident.
const GENEROUS: &str = "[limits]\nanonymous = { per_second = 100000, burst = 100000 }\n";

const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct TestGateway {
    pub(crate) public: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) clock: Clock,
    /// Exchanges of this thread's gateways, those that were started earlier included.
    pub(crate) exchanges: Exchanges,
    app: App,
    /// Part that every configuration of this gateway has.
    base: String,
    // Only this gateway's metrics count the events of this thread, on which the whole test runs.
    _counted: DefaultGuard,
}

impl TestGateway {
    pub(crate) fn start(origin: &Origin) -> Self {
        Self::configured(origin, GENEROUS)
    }

    /// Starts a gateway that reads ImageKit's key from `file`. Quotas are generous, because they do
    /// not refill while the clock stands still and a test may poll often.
    pub(crate) fn with_key_file(origin: &Origin, file: &Path) -> Self {
        let more = format!(
            "upstream.private_key_file = '{}'\n\
             limits.anonymous = {{ per_second = 1000000, burst = 1000000 }}",
            file.display()
        );
        Self::keyed(origin, &more, None)
    }

    /// Starts a gateway with further configuration, written as in a file.
    pub(crate) fn configured(origin: &Origin, more: &str) -> Self {
        Self::keyed(origin, more, Some(PRIVATE_KEY))
    }

    fn keyed(origin: &Origin, more: &str, key: Option<&str>) -> Self {
        let base = format!(
            "[server]\nlisten = [\"127.0.0.1:0\"]\n[admin]\nlisten = \"127.0.0.1:0\"\n\
             [upstream]\nurl = \"http://{}\"\n\
             budget = {{ per_second = 100000, burst = 100000 }}\nretries.max = 0\n\
             breaker.failures = 1000\n[cache]\nttl_jitter_percent = 0\n",
            origin.address
        );
        let settings = settings(&base, more, key);
        let metrics = Arc::new(Metrics::new());
        let exchanges = Exchanges::default();
        let subscriber =
            tracing_subscriber::registry().with(metrics_layer(&metrics)).with(exchanges.clone());
        let counted = tracing::subscriber::set_default(subscriber);
        let clock = Clock::manual();
        let app = App::start(settings, &clock, metrics, None, PassedSockets::default()).unwrap();
        let (public, admin) = (app.public[0], app.admin);
        Self { public, admin, clock, exchanges, app, base, _counted: counted }
    }

    /// Reloads another configuration. Returns the changed keys that need a restart.
    pub(crate) fn reload(&mut self, more: &str) -> Vec<String> {
        self.app.reload(settings(&self.base, more, Some(PRIVATE_KEY))).unwrap()
    }

    pub(crate) async fn get(&self, target: &str) -> Answer {
        get(self.public, target).await
    }

    pub(crate) async fn send(&self, method: &str, target: &str, fields: &[(&str, &str)]) -> Answer {
        send(self.public, method, target, fields).await
    }

    /// Requests the list of a file without waiting for the response.
    pub(crate) async fn ask(&self, file: &str) -> Connection {
        let mut connection = Connection::open(self.public).await;
        let path = versions_of(file);
        connection.write(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
        connection
    }

    pub(crate) async fn purge(&self, path: &str) -> Answer {
        let purged = send(self.admin, "DELETE", path, &[]).await;
        assert_eq!(purged.status, 200, "{purged:#?}");
        purged
    }

    /// Waits until `count` requests wait for the fill of `file`.
    pub(crate) async fn has_waiting(&self, file: &str, count: u64) {
        let waiting = async {
            loop {
                let shown = get(self.admin, &format!("/api/cache/{file}")).await.json();
                if shown["fill"]["waiting"] == count {
                    return;
                }
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.expect("not so many wait");
    }

    /// Waits until `count` connections are open.
    pub(crate) async fn has_connections(&self, count: u32) {
        self.has_counted("ikgate_connections", f64::from(count)).await;
    }

    /// Waits until a series of the metrics has this value.
    pub(crate) async fn has_counted(&self, series: &str, value: f64) {
        let counted = async { while self.metric(series).await != Some(value) {} };
        tokio::time::timeout(PATIENCE, counted).await.expect("not counted");
    }

    /// Waits until no fill of `file` is in progress.
    pub(crate) async fn is_settled(&self, file: &str) {
        let settled = async {
            let path = format!("/api/cache/{file}");
            while !get(self.admin, &path).await.json()["fill"].is_null() {}
        };
        tokio::time::timeout(PATIENCE, settled).await.expect("still filling");
    }

    /// Waits until the stored list of a file exists in all codings. Until then a response may be in
    /// identity coding.
    pub(crate) async fn has_encoded(&self, file: &str) {
        let encoded = async {
            let path = format!("/api/cache/{file}");
            while get(self.admin, &path).await.json()["response"]["bytes"]["br"].is_null() {}
        };
        tokio::time::timeout(PATIENCE, encoded).await.expect("no codings");
    }

    /// Returns the value of one series, by its name and labels as they are exposed.
    pub(crate) async fn metric(&self, series: &str) -> Option<f64> {
        let exposed = get(self.admin, "/metrics").await.body;
        exposed.lines().find_map(|line| {
            let value = line.strip_prefix(series)?.strip_prefix(' ')?;
            Some(value.parse().unwrap())
        })
    }

    /// Shuts down in order. A test that leaves a connection open must not call this.
    pub(crate) async fn finish(self) {
        assert_eq!(self.app.shut_down().await, DrainEnd::Finished);
    }

    pub(crate) fn into_app(self) -> App {
        self.app
    }
}

fn settings(base: &str, more: &str, key: Option<&str>) -> Settings {
    let mut table: toml::Table = base.parse().unwrap();
    for (key, value) in more.parse::<toml::Table>().unwrap() {
        match (table.get_mut(&key), value) {
            (Some(toml::Value::Table(own)), toml::Value::Table(more)) => own.extend(more),
            (_, value) => _ = table.insert(key, value),
        }
    }
    let key = key.map(|key| (config::PRIVATE_KEY_VARIABLE.to_owned(), key.to_owned()));
    config::from_text(&table.to_string(), Path::new(""), key).unwrap()
}
