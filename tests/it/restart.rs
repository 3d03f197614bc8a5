//! A restart that nobody notices, and what the service manager is told.

use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use crate::support::{
    Connection, FILE, Origin, Program, Reply, receive, run, scratch, versions_of,
};

const KEY: (&str, &str) = ("IMAGEKIT_PRIVATE_KEY", "private_a=");

fn config(directory: &Path, listen: &str, origin: SocketAddr) -> PathBuf {
    let file = directory.join("ikgate.toml");
    let text = format!(
        "[server]\nlisten = [{listen:?}]\n[admin]\nlisten = \"127.0.0.1:0\"\n\
         [limits]\nanonymous = {{ per_second = 100000, burst = 100000 }}\n\
         [upstream]\nurl = \"http://{origin}\""
    );
    std::fs::write(&file, text).unwrap();
    file
}

/// Asks again and again, on a connection that is kept for as long as it may be.
async fn ask(address: SocketAddr, answered: Arc<AtomicUsize>, done: Arc<AtomicBool>) {
    let request = format!("GET {} HTTP/1.1\r\nHost: a\r\n\r\n", versions_of(FILE));
    while !done.load(Ordering::SeqCst) {
        let mut connection = Connection::open(address).await;
        let mut last = false;
        while !last && !done.load(Ordering::SeqCst) {
            connection.write(&request).await;
            let answer = connection.read("GET").await.expect("closed without an answer");
            assert_eq!((answer.status, answer.body.as_str()), (200, "[1]"));
            last = answer.find("connection") == Some("close");
            answered.fetch_add(1, Ordering::SeqCst);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_restarts_under_load_lose_no_request_where_the_socket_is_passed() {
    let (directory, origin) = (scratch(), Origin::start().await);
    origin.replies(&versions_of(FILE), Reply::json(200, "[1]"));
    let config = config(directory.path(), "systemd", origin.address);
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let (answered, done) = (Arc::<AtomicUsize>::default(), Arc::<AtomicBool>::default());
    let askers: Vec<_> = (0..4)
        .map(|_| tokio::spawn(ask(address, Arc::clone(&answered), Arc::clone(&done))))
        .collect();
    let mut seen = 0;
    for restart in 0..=10 {
        let program = Program::serve_passed(&config, &[KEY], &socket);
        assert_eq!(program.public, address);
        let enough = async {
            while answered.load(Ordering::SeqCst) < seen + 200 {
                assert!(askers.iter().all(|asker| !asker.is_finished()), "one gave up");
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), enough).await.expect("nobody is answered");
        program.signal("TERM");
        let (code, log) = tokio::task::spawn_blocking(|| program.wait()).await.unwrap();
        assert_eq!(code, Some(0), "restart {restart}: {log}");
        assert!(log.contains("\"drained\""), "restart {restart}: {log}");
        seen = answered.load(Ordering::SeqCst);
    }
    // The last requests are answered by one that goes on.
    let _program = Program::serve_passed(&config, &[KEY], &socket);
    done.store(true, Ordering::SeqCst);
    for asker in askers {
        asker.await.expect("a request was lost");
    }
}

#[tokio::test]
async fn a_socket_must_be_passed_where_one_is_expected() {
    let (directory, origin) = (scratch(), Origin::start().await);
    let config = config(directory.path(), "systemd", origin.address);
    let ended = run(&["serve", "--config", config.to_str().unwrap()], &[KEY]);
    let told = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(1), "{told}");
    assert!(told.contains("no socket was passed"), "{told}");
}

#[tokio::test]
async fn the_service_manager_is_told_of_each_state() {
    let (directory, origin) = (scratch(), Origin::start().await);
    let config = config(directory.path(), "127.0.0.1:0", origin.address);
    let path = directory.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let told = |what: &str| {
        let mut message = [0; 4096];
        loop {
            let length =
                receive(&manager, &mut message).unwrap_or_else(|_| panic!("not told {what}"));
            let message = String::from_utf8_lossy(&message[..length]).into_owned();
            if message.lines().any(|line| line == what) {
                return message;
            }
        }
    };
    let socket = path.to_str().unwrap();
    let environment = [KEY, ("NOTIFY_SOCKET", socket), ("WATCHDOG_USEC", "40000")];
    let program = Program::serve(&config, &environment);
    let ready = told("READY=1");
    assert!(ready.contains(&format!("STATUS=answering on [{}]", program.public)), "{ready}");
    told("WATCHDOG=1");
    program.signal("HUP");
    assert!(told("RELOADING=1").contains("MONOTONIC_USEC="));
    told("READY=1");
    program.signal("TERM");
    told("STOPPING=1");
    assert_eq!(program.wait().0, Some(0));
}
