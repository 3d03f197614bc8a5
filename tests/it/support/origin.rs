//! Scripted origin server: it writes given bytes at given times, and records the requests.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::shared::{listen, read_head};

const PATIENCE: Duration = Duration::from_secs(20);

/// Reply of the origin for one path.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// Writes these bytes and keeps the connection open.
    Bytes(Vec<u8>),
    /// Writes these bytes and resets the connection.
    BytesThenReset(Vec<u8>),
    /// Never answers.
    Silence,
}

impl Reply {
    /// Returns a well-formed JSON response.
    pub(crate) fn json(status: u16, body: &str) -> Self {
        Self::with_fields(status, "Content-Type: application/json\r\n", body)
    }

    /// Returns a JSON response with further field lines, each with its line end.
    pub(crate) fn with_fields(status: u16, fields: &str, body: &str) -> Self {
        let length = body.len();
        let head = format!("HTTP/1.1 {status} X\r\n{fields}Content-Length: {length}\r\n\r\n");
        Self::Bytes((head + body).into_bytes())
    }
}

#[derive(Default)]
struct Script {
    replies: HashMap<String, Reply>,
    held: HashMap<String, watch::Receiver<bool>>,
    releases: HashMap<String, watch::Sender<bool>>,
    /// Replies to the requests for each gated path, in order of arrival.
    gates: HashMap<String, Vec<watch::Sender<Option<Reply>>>>,
    /// Number of accepted connections.
    connections: usize,
    /// Received heads, as text.
    requests: Vec<String>,
}

/// Scripted origin server of one test.
pub(crate) struct Origin {
    pub(crate) address: SocketAddr,
    script: Arc<Mutex<Script>>,
    arrivals: watch::Receiver<usize>,
    listening: AbortHandle,
}

impl Origin {
    pub(crate) async fn start() -> Self {
        let script = Arc::<Mutex<Script>>::default();
        let (arrived, arrivals) = watch::channel(0);
        let (arrived, shared) = (Arc::new(arrived), Arc::clone(&script));
        let serve = move |stream| {
            shared.lock().unwrap().connections += 1;
            serve(stream, Arc::clone(&shared), Arc::clone(&arrived))
        };
        let (address, listening) = listen(serve).await;
        Self { address, script, arrivals, listening }
    }

    /// Closes the open connections, and refuses new ones from now on.
    pub(crate) fn leave(&self) {
        self.listening.abort();
    }

    /// Sets the reply for this path from now on. A path without a reply gets 404.
    pub(crate) fn replies(&self, path: &str, reply: Reply) {
        self.script.lock().unwrap().replies.insert(path.to_owned(), reply);
    }

    /// Holds the responses for this path from now on, until it is released. Each response is the
    /// one that was set when its request arrived.
    pub(crate) fn hold(&self, path: &str) {
        let (release, held) = watch::channel(false);
        let mut script = self.script.lock().unwrap();
        script.held.insert(path.to_owned(), held);
        script.releases.insert(path.to_owned(), release);
    }

    /// Releases the held responses for this path, and holds no later ones.
    pub(crate) fn release(&self, path: &str) {
        let mut script = self.script.lock().unwrap();
        script.held.remove(path);
        if let Some(release) = script.releases.remove(path) {
            release.send_replace(true);
        }
    }

    /// Makes each request for this path wait for its own `answer` from now on.
    pub(crate) fn gate(&self, path: &str) {
        self.script.lock().unwrap().gates.insert(path.to_owned(), Vec::new());
    }

    /// Answers the request that arrived after `before` others since the path was gated.
    pub(crate) fn answer(&self, path: &str, before: usize, reply: Reply) {
        self.script.lock().unwrap().gates[path][before].send_replace(Some(reply));
    }

    /// Waits until this path has been requested `count` times.
    pub(crate) async fn has_seen(&self, path: &str, count: usize) {
        let mut arrivals = self.arrivals.clone();
        let seen = async {
            while self.requests_for(path) < count {
                arrivals.changed().await.unwrap();
            }
        };
        tokio::time::timeout(PATIENCE, seen).await.expect("the origin was not asked in time");
    }

    /// Returns the number of requests for a path.
    pub(crate) fn requests_for(&self, path: &str) -> usize {
        let line = format!("GET {path} HTTP/1.1\r\n");
        self.requests().iter().filter(|head| head.starts_with(&line)).count()
    }

    /// Returns the number of connections accepted so far.
    pub(crate) fn connections(&self) -> usize {
        self.script.lock().unwrap().connections
    }

    pub(crate) fn requests(&self) -> Vec<String> {
        self.script.lock().unwrap().requests.clone()
    }
}

async fn serve(
    mut stream: TcpStream,
    script: Arc<Mutex<Script>>,
    arrived: Arc<watch::Sender<usize>>,
) {
    while let Some((head, path)) = read_head(&mut stream).await {
        let (reply, held, gate) = {
            let mut script = script.lock().unwrap();
            script.requests.push(head);
            let gate = script.gates.get_mut(&path).map(|gates| {
                let (answer, gate) = watch::channel(None);
                gates.push(answer);
                gate
            });
            let reply = script.replies.get(&path).cloned();
            let missing = r#"{"message":"The requested file does not exist.","help":"Ask."}"#;
            let reply = reply.unwrap_or_else(|| Reply::json(404, missing));
            (reply, script.held.get(&path).cloned(), gate)
        };
        arrived.send_modify(|count| *count += 1);
        if let Some(mut held) = held {
            // An origin that is dropped releases the responses that it holds.
            let _ = held.wait_for(|released| *released).await;
        }
        let reply = match gate {
            None => reply,
            Some(mut gate) => match gate.wait_for(Option::is_some).await {
                Ok(told) => told.clone().unwrap_or(reply),
                Err(_) => return,
            },
        };
        match reply {
            Reply::Bytes(bytes) => {
                if stream.write_all(&bytes).await.is_err() {
                    return;
                }
            }
            Reply::BytesThenReset(bytes) => {
                let _ = stream.write_all(&bytes).await;
                // With a linger time of zero, the close sends a reset.
                let _ = stream.set_zero_linger();
                return;
            }
            Reply::Silence => std::future::pending().await,
        }
    }
}
