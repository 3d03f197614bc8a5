//! Tests of restarts without failed requests.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use crate::support::{
    Connection, FILE, Origin, Program, Reply, config_file, run, scratch, versions_of,
};

/// Variables for one passed socket without a name.
const PASSED: &str = "LISTEN_PID=$$ LISTEN_FDS=1";

const KEY: (&str, &str) = ("IMAGEKIT_PRIVATE_KEY", "private_a=");

/// Sends requests in a loop, on a connection that it keeps for as long as the server allows.
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
    let config = config_file(directory.path(), "systemd", origin.address);
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let (answered, done) = (Arc::<AtomicUsize>::default(), Arc::<AtomicBool>::default());
    let askers: Vec<_> = (0..4)
        .map(|_| tokio::spawn(ask(address, Arc::clone(&answered), Arc::clone(&done))))
        .collect();
    let mut seen = 0;
    for restart in 0..=10 {
        let program = Program::serve_passed(&config, &[KEY], PASSED, &[&socket]);
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
    // The last requests are answered by a program that keeps running.
    let _program = Program::serve_passed(&config, &[KEY], PASSED, &[&socket]);
    done.store(true, Ordering::SeqCst);
    for asker in askers {
        asker.await.expect("a request was lost");
    }
}

#[tokio::test]
async fn a_socket_must_be_passed_where_one_is_expected() {
    let (directory, origin) = (scratch(), Origin::start().await);
    let config = config_file(directory.path(), "systemd", origin.address);
    let ended = run(&["serve", "--config", config.to_str().unwrap()], &[KEY]);
    let told = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(1), "{told}");
    assert!(told.contains("no socket was passed"), "{told}");
}
