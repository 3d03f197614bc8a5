//! Redis server process of one fleet test.

use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU16, Ordering};

use redis::{Client, FromRedisValue};

use super::appears;
use super::process::Process;

struct PortTaken;

/// Placeholder in an argument for a port that was free a moment ago.
pub(crate) const PORT: &str = "PORT";

pub(crate) struct Redis {
    directory: PathBuf,
    arguments: Vec<String>,
    process: Mutex<Option<Process>>,
    port: AtomicU16,
}

impl Redis {
    /// Starts Redis with further arguments of its command line.
    pub(crate) async fn start(directory: &Path, arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let (directory, process, port) = (directory.to_owned(), Mutex::default(), 0.into());
        let redis = Self { directory, arguments, process, port };
        redis.restart().await;
        redis
    }

    /// Returns the path of the socket on which Redis listens.
    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.join("redis.sock")
    }

    /// Returns the port that replaced [`PORT`].
    pub(crate) fn port(&self) -> u16 {
        self.port.load(Ordering::Relaxed)
    }

    pub(crate) fn kill(&self) {
        self.process.lock().unwrap().take();
    }

    /// Restarts Redis. It is empty afterwards, unless its data was saved.
    pub(crate) async fn restart(&self) {
        // Another process may have taken the port in the meantime.
        while self.try_start().await.is_err() {}
    }

    async fn try_start(&self) -> Result<(), PortTaken> {
        self.kill();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        self.port.store(port, Ordering::Relaxed);
        let mut command = Command::new("redis-server");
        command.args(["--port", "0", "--save", "", "--appendonly", "no", "--daemonize", "no"]);
        command.arg("--dir").arg(&self.directory).arg("--unixsocket").arg(self.socket());
        let arguments = self.arguments.iter();
        command.args(arguments.map(|argument| argument.replace(PORT, &port.to_string())));
        let process = Process::start(command, &self.directory.join("redis.log"));
        *self.process.lock().unwrap() = Some(process);
        appears("Redis listens", || {
            let mut process = self.process.lock().unwrap();
            let process = process.as_mut()?;
            if process.has_ended() {
                assert!(process.log().contains("Address already in use"), "{}", process.log());
                return Some(Err(PortTaken));
            }
            UnixStream::connect(self.socket()).is_ok().then_some(Ok(()))
        })
        .await
    }

    pub(crate) fn pause(&self) {
        self.process.lock().unwrap().as_ref().unwrap().pause();
    }

    pub(crate) fn resume(&self) {
        self.process.lock().unwrap().as_ref().unwrap().resume();
    }

    /// Sends a command, written as at a prompt, and returns the answer.
    pub(crate) fn ask<T: FromRedisValue>(&self, command: &str) -> T {
        let client = Client::open(format!("unix://{}", self.socket().display())).unwrap();
        let mut connection = client.get_connection().unwrap();
        let mut words = command.split(' ');
        let mut request = redis::cmd(words.next().unwrap());
        words.for_each(|word| _ = request.arg(word));
        request.query(&mut connection).unwrap_or_else(|error| panic!("{command}: {error}"))
    }
}
