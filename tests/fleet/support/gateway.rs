//! Gateway process of a fleet: starts `ikgate serve` and sends it requests.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::process::Process;
use super::{Answer, appears, eventually, send};

pub(crate) struct Gateway {
    process: Process,
    pub(crate) public: SocketAddr,
    pub(crate) admin: SocketAddr,
}

/// Base configuration. The TTL is longer than any test, so that only a purge leads to a new
/// version.
const BASE: &str = r#"
[server]
listen = ["127.0.0.1:0"]
[admin]
listen = "127.0.0.1:0"
[upstream]
budget = { per_second = 100000, burst = 100000 }
retries.max = 0
breaker.failures = 1000
[cache]
ttl = "10m"
ttl_jitter_percent = 0
settle = "0s"
[limits]
anonymous = { per_second = 100000, burst = 100000 }
"#;

/// Returns a configuration with `more`, written as in a file.
pub(crate) fn config(upstream: SocketAddr, redis_url: &str, more: &str) -> String {
    let mut table: toml::Table = BASE.parse().unwrap();
    let addresses =
        format!("upstream.url = \"http://{upstream}\"\ncluster.redis_url = \"{redis_url}\"");
    for text in [&addresses, more] {
        for (key, value) in text.parse::<toml::Table>().unwrap() {
            match (table.get_mut(&key), value) {
                (Some(toml::Value::Table(own)), toml::Value::Table(more)) => own.extend(more),
                (_, value) => _ = table.insert(key, value),
            }
        }
    }
    table.to_string()
}

impl Gateway {
    /// Starts a gateway with this configuration and environment, and waits until it is ready.
    /// `name` is the base name of its files in this directory.
    pub(crate) async fn start(
        directory: &Path,
        name: &str,
        config: &str,
        environment: &[(&str, &str)],
    ) -> Self {
        let file: PathBuf = directory.join(format!("{name}.toml"));
        std::fs::write(&file, config).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_ikgate"));
        command.args(["serve", "--config"]).arg(&file).env_clear();
        command.env("IMAGEKIT_PRIVATE_KEY", "private_a=").envs(environment.iter().copied());
        let mut process = Process::start(command, &directory.join(format!("{name}.log")));
        let ready = appears("a gateway is ready", || {
            let (has_ended, log) = (process.has_ended(), process.log());
            assert!(!has_ended, "it ended before it was ready: {log}");
            event(&log, "ready")
        })
        .await;
        let address = |name: &str| {
            let text = ready[name].as_str().unwrap().trim_matches(['[', ']']);
            text.parse().unwrap()
        };
        Self { process, public: address("public"), admin: address("admin") }
    }

    /// Returns the log so far.
    pub(crate) fn log(&self) -> String {
        self.process.log()
    }

    /// Waits until the log contains `text`.
    pub(crate) async fn logs(&self, text: &str) {
        appears(&format!("{text:?} logged"), || self.log().contains(text).then_some(())).await;
    }

    /// Kills the gateway at once.
    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }

    /// Shuts the gateway down in order with a signal.
    pub(crate) async fn ends(&mut self) {
        self.process.signal("TERM");
        appears("a gateway ends", || self.process.has_ended().then_some(())).await;
    }

    pub(crate) fn pause(&self) {
        self.process.pause();
    }

    pub(crate) fn resume(&self) {
        self.process.resume();
    }

    pub(crate) async fn get(&self, file: &str) -> Answer {
        let target = format!("/v1/files/{file}/versions");
        send(self.public, "GET", &target, "", "").await.unwrap()
    }

    /// Returns the version of a file in its response.
    pub(crate) async fn version(&self, file: &str) -> u64 {
        self.get(file).await.version()
    }

    /// Waits until it answers with this version of a file, and fails on a newer one.
    pub(crate) async fn answers_with(&self, file: &str, version: u64) {
        eventually(&format!("version {version} of {file}"), async || {
            let answered = self.version(file).await;
            assert!(answered <= version, "version {answered} of {file}");
            (answered == version).then_some(())
        })
        .await;
    }

    /// Sends `DELETE` for a path of the admin API.
    pub(crate) async fn purge(&self, path: &str) -> Answer {
        send(self.admin, "DELETE", path, "", "").await.unwrap()
    }

    /// Purges a path. All other gateways must hear of it.
    pub(crate) async fn purges(&self, path: &str) {
        let purged = self.purge(path).await;
        assert_eq!(purged.status, 200, "{purged:#?}");
    }

    /// Purges a path. The other gateways cannot be told yet.
    pub(crate) async fn purges_alone(&self, path: &str) {
        let purged = self.purge(path).await;
        assert_eq!(purged.status, 503, "{purged:#?}");
        assert!(purged.body.contains("\"purge_partial\""), "{purged:#?}");
    }

    pub(crate) async fn metric(&self, series: &str) -> f64 {
        let exposed = send(self.admin, "GET", "/metrics", "", "").await.unwrap().body;
        let value = exposed.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        value.unwrap_or_else(|| panic!("no {series} in {exposed}")).parse().unwrap()
    }

    /// Waits until a series of the metrics has this value.
    pub(crate) async fn shows(&self, series: &str, value: f64) {
        eventually(&format!("{series} {value}"), async || {
            (self.metric(series).await.total_cmp(&value).is_eq()).then_some(())
        })
        .await;
    }

    pub(crate) async fn is_connected(&self) {
        self.shows("ikgate_cluster_state", 1.0).await;
    }

    pub(crate) async fn is_cut_off(&self) {
        self.shows("ikgate_cluster_state", 2.0).await;
    }
}

/// Returns the first log event with this message, if there is one.
fn event(log: &str, message: &str) -> Option<serde_json::Value> {
    let events = log.lines().filter_map(|line| serde_json::from_str(line).ok());
    let mut events = events.filter(|event: &serde_json::Value| event["message"] == message);
    events.next()
}
