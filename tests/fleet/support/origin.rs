//! Origin server of the fleet tests: it answers with the version that a file has when the request
//! arrives, counts requests, and can delay, hold or fail.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::appears;
use crate::shared::{listen, read_head};

struct File {
    version: u64,
    asked: usize,
    is_held: watch::Sender<bool>,
}

impl Default for File {
    fn default() -> Self {
        Self { version: 1, asked: 0, is_held: watch::Sender::new(false) }
    }
}

#[derive(Default)]
struct Script {
    files: HashMap<String, File>,
    /// Range of response delays, in milliseconds.
    latency: Range<u64>,
    is_failing: bool,
    /// Additional field lines of its responses.
    fields: &'static str,
}

#[derive(Clone)]
pub(crate) struct Origin {
    pub(crate) address: SocketAddr,
    script: Arc<Mutex<Script>>,
}

impl Origin {
    pub(crate) async fn start() -> Self {
        let script = Arc::<Mutex<Script>>::default();
        let shared = Arc::clone(&script);
        let (address, _listening) = listen(move |stream| serve(stream, Arc::clone(&shared))).await;
        Self { address, script }
    }

    fn with<T>(&self, file: &str, act: impl FnOnce(&mut File) -> T) -> T {
        act(self.script.lock().unwrap().files.entry(file.to_owned()).or_default())
    }

    /// Makes a new version of a file and returns its number.
    pub(crate) fn raise(&self, file: &str) -> u64 {
        self.with(file, |file| {
            file.version += 1;
            file.version
        })
    }

    pub(crate) fn version(&self, file: &str) -> u64 {
        self.with(file, |file| file.version)
    }

    /// Returns the number of requests for a file.
    pub(crate) fn asked(&self, file: &str) -> usize {
        self.with(file, |file| file.asked)
    }

    /// Returns the number of requests for all files.
    pub(crate) fn asked_in_all(&self) -> usize {
        self.script.lock().unwrap().files.values().map(|file| file.asked).sum()
    }

    /// Waits until a file has been requested `count` times.
    pub(crate) async fn is_asked(&self, file: &str, count: usize) {
        appears(&format!("{file} asked {count} times"), || {
            (self.asked(file) >= count).then_some(())
        })
        .await;
    }

    /// Holds the responses for this file until it is released. Each has the version of its arrival.
    pub(crate) fn hold(&self, file: &str) {
        self.with(file, |file| file.is_held.send_replace(true));
    }

    pub(crate) fn release(&self, file: &str) {
        self.with(file, |file| file.is_held.send_replace(false));
    }

    /// Sets the range of response delays, in milliseconds.
    pub(crate) fn takes(&self, latency: Range<u64>) {
        self.script.lock().unwrap().latency = latency;
    }

    pub(crate) fn says(&self, fields: &'static str) {
        self.script.lock().unwrap().fields = fields;
    }

    pub(crate) fn fails(&self, is_failing: bool) {
        self.script.lock().unwrap().is_failing = is_failing;
    }
}

async fn serve(stream: TcpStream, script: Arc<Mutex<Script>>) {
    let mut stream = BufReader::new(stream);
    while let Some((_, path)) = read_head(&mut stream).await {
        let reply = reply(&script, &path).await;
        if stream.get_mut().write_all(reply.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn reply(script: &Mutex<Script>, path: &str) -> String {
    let file = path.split('/').nth(3).unwrap_or_default();
    let (version, mut is_held, latency, is_failing, fields) = {
        let mut script = script.lock().unwrap();
        let (latency, is_failing) = (script.latency.clone(), script.is_failing);
        let fields = script.fields;
        let file = script.files.entry(file.to_owned()).or_default();
        file.asked += 1;
        (file.version, file.is_held.subscribe(), latency, is_failing, fields)
    };
    if !latency.is_empty() {
        tokio::time::sleep(Duration::from_millis(fastrand::u64(latency))).await;
    }
    // An origin that is dropped releases the responses that it holds.
    _ = is_held.wait_for(|is_held| !is_held).await;
    let status = if is_failing { 500 } else { 200 };
    let body = format!("[{version}]");
    let length = body.len();
    format!(
        "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n{fields}\
         Content-Length: {length}\r\n\r\n{body}"
    )
}
