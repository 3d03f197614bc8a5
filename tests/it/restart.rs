//! Tests of restarts without failed requests, and of the messages to the service manager.

use std::net::{SocketAddr, TcpListener};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr as SocketAddrOfUnix, UnixDatagram};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use sd_notify::NotifyState;

use crate::support::{
    Connection, FILE, Origin, Program, Reply, receive, run, scratch, versions_of,
};

/// Variables for one passed socket without a name.
const PASSED: &str = "LISTEN_PID=$$ LISTEN_FDS=1";

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
    let config = config(directory.path(), "systemd", origin.address);
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
    let config = config(directory.path(), "systemd", origin.address);
    let ended = run(&["serve", "--config", config.to_str().unwrap()], &[KEY]);
    let told = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(1), "{told}");
    assert!(told.contains("no socket was passed"), "{told}");
}

/// Socket of a service manager, which receives the messages of `sd_notify(3)`.
struct Manager(UnixDatagram);

impl Manager {
    fn at(path: &Path) -> Self {
        Self::on(UnixDatagram::bind(path).unwrap())
    }

    fn on(socket: UnixDatagram) -> Self {
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Self(socket)
    }

    /// Returns the next message.
    fn heard(&self) -> String {
        let mut message = [0; 4096];
        let length = receive(&self.0, &mut message).expect("nothing more is told");
        String::from_utf8_lossy(&message[..length]).into_owned()
    }

    /// Returns the next message that has a line equal to `what`.
    fn told(&self, what: &str) -> String {
        loop {
            let message = self.heard();
            if message.lines().any(|line| line == what) {
                return message;
            }
        }
    }

    /// Returns all messages that are left from a program that has ended.
    fn rest(&self) -> Vec<String> {
        self.0.set_nonblocking(true).unwrap();
        let mut message = [0; 4096];
        let next = || receive(&self.0, &mut message).ok().map(|length| message[..length].to_vec());
        std::iter::from_fn(next).map(|message| String::from_utf8(message).unwrap()).collect()
    }
}

#[tokio::test]
async fn the_service_manager_is_told_of_each_state() {
    let (directory, origin) = (scratch(), Origin::start().await);
    let config = config(directory.path(), "127.0.0.1:0", origin.address);
    let path = directory.path().join("notify");
    let manager = Manager::at(&path);
    let socket = path.to_str().unwrap();
    let environment = [KEY, ("NOTIFY_SOCKET", socket), ("WATCHDOG_USEC", "40000")];
    let program = Program::serve(&config, &environment);
    let ready = manager.told("READY=1");
    assert!(ready.contains(&format!("STATUS=answering on [{}]", program.public)), "{ready}");
    manager.told("WATCHDOG=1");
    program.signal("HUP");
    assert!(manager.told("RELOADING=1").contains("MONOTONIC_USEC="));
    manager.told("READY=1");
    program.signal("TERM");
    manager.told("STOPPING=1");
    assert_eq!(program.wait().0, Some(0));
}

#[tokio::test]
async fn a_service_manager_with_an_abstract_socket_is_told_too() {
    let (directory, origin) = (scratch(), Origin::start().await);
    let config = config(directory.path(), "127.0.0.1:0", origin.address);
    // The name of the directory is unique.
    let name = directory.path().to_str().unwrap();
    let address = SocketAddrOfUnix::from_abstract_name(name).unwrap();
    let manager = Manager::on(UnixDatagram::bind_addr(&address).unwrap());
    let program = Program::serve(&config, &[KEY, ("NOTIFY_SOCKET", &format!("@{name}"))]);
    let ready = manager.heard();
    assert!(ready.starts_with("READY=1\nSTATUS=answering on ["), "{ready}");
    program.signal("HUP");
    assert!(manager.told("RELOADING=1").contains("\nMONOTONIC_USEC="));
    manager.told("READY=1");
    program.signal("TERM");
    manager.told("STOPPING=1");
    assert_eq!(program.wait().0, Some(0));
}

#[tokio::test]
async fn a_reload_that_is_refused_is_ready_again() {
    let (directory, origin) = (scratch(), Origin::start().await);
    let config = config(directory.path(), "127.0.0.1:0", origin.address);
    let path = directory.path().join("notify");
    let manager = Manager::at(&path);
    let program = Program::serve(&config, &[KEY, ("NOTIFY_SOCKET", path.to_str().unwrap())]);
    manager.told("READY=1");
    std::fs::write(&config, "[cache]\nttl = 1").unwrap();
    program.signal("HUP");
    let reloading = manager.heard();
    assert!(reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="), "{reloading}");
    let ready = manager.heard();
    assert!(ready.starts_with("READY=1\n"), "{ready}");
    program.signal("TERM");
    assert!(manager.heard().starts_with("STOPPING=1\n"), "ready once");
    let (code, log) = program.wait();
    assert_eq!(code, Some(0));
    assert!(log.contains("\"not reloaded\""), "{log}");
}

/// The service manager assigns messages from before its reload request to an older reload.
#[tokio::test]
async fn the_time_of_a_reload_is_of_the_monotonic_clock_when_it_began() {
    let (directory, origin) = (scratch(), Origin::start().await);
    let config = config(directory.path(), "127.0.0.1:0", origin.address);
    let path = directory.path().join("notify");
    let manager = Manager::at(&path);
    let program = Program::serve(&config, &[KEY, ("NOTIFY_SOCKET", path.to_str().unwrap())]);
    manager.told("READY=1");
    let now = || match NotifyState::monotonic_usec_now().unwrap() {
        NotifyState::MonotonicUsec(now) => now,
        other => panic!("{other}"),
    };
    let before = now();
    program.signal("HUP");
    let message = manager.told("RELOADING=1");
    let told = message.lines().find_map(|line| line.strip_prefix("MONOTONIC_USEC=")).unwrap();
    assert!((before..=now()).contains(&told.parse().unwrap()), "{before} {message}");
}

#[tokio::test]
async fn the_watchdog_is_fed_while_the_gateway_drains() {
    let (directory, origin) = (scratch(), Origin::start().await);
    let config = config(directory.path(), "127.0.0.1:0", origin.address);
    let path = directory.path().join("notify");
    let manager = Manager::at(&path);
    let environment = [
        KEY,
        ("NOTIFY_SOCKET", path.to_str().unwrap()),
        ("WATCHDOG_USEC", "40000"),
        ("IKGATE_SERVER__SHUTDOWN_DELAY", "60s"),
    ];
    let program = Program::serve(&config, &environment);
    manager.told("READY=1");
    program.signal("TERM");
    manager.told("STOPPING=1");
    for _ in 0..3 {
        assert_eq!(manager.heard().trim_end(), "WATCHDOG=1");
    }
    program.signal("TERM");
    assert_eq!(program.wait().0, Some(1));
}

#[tokio::test]
async fn the_watchdog_of_another_process_is_not_fed() {
    let (directory, origin) = (scratch(), Origin::start().await);
    let config = config(directory.path(), "127.0.0.1:0", origin.address);
    let path = directory.path().join("notify");
    let manager = Manager::at(&path);
    let environment = [
        KEY,
        ("NOTIFY_SOCKET", path.to_str().unwrap()),
        ("WATCHDOG_USEC", "1000"),
        ("WATCHDOG_PID", "1"),
    ];
    let program = Program::serve(&config, &environment);
    assert!(manager.heard().starts_with("READY=1\n"));
    // A reload lasts long enough for many watchdog messages.
    for _ in 0..3 {
        program.signal("HUP");
        for expected in ["RELOADING=1\n", "READY=1\n"] {
            let message = manager.heard();
            assert!(message.starts_with(expected), "{message}");
        }
    }
    program.signal("TERM");
    assert_eq!(program.wait().0, Some(0));
    let rest = manager.rest();
    assert!(rest.iter().all(|message| !message.contains("WATCHDOG")), "{rest:?}");
}
