//! Tests of the messages to the service manager, as `sd_notify(3)` and `sd_watchdog_enabled(3)` define
//! them.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use sd_notify::NotifyState;
use tempfile::TempDir;

use crate::support::{Origin, Program, config_file, receive, scratch};

/// Socket of a service manager, which receives the messages of `sd_notify(3)`.
struct Manager(UnixDatagram);

impl Manager {
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

/// Program that a service manager has started.
struct Managed {
    manager: Manager,
    program: Program,
    /// Directory of its configuration, and its upstream: gone when dropped.
    kept: (TempDir, Origin),
}

impl Managed {
    async fn start(more: &[(&str, &str)]) -> Self {
        let directory = scratch();
        let path = directory.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        Self::by(socket, path.to_str().unwrap(), directory, more).await
    }

    /// The same with a socket of the test's own.
    async fn by(
        socket: UnixDatagram,
        address: &str,
        directory: TempDir,
        more: &[(&str, &str)],
    ) -> Self {
        let origin = Origin::start().await;
        let config = config_file(directory.path(), "127.0.0.1:0", origin.address);
        let key = ("IMAGEKIT_PRIVATE_KEY", "private_a=");
        let environment = [&[key, ("NOTIFY_SOCKET", address)], more].concat();
        let program = Program::serve(&config, &environment);
        Self { manager: Manager::on(socket), program, kept: (directory, origin) }
    }
}

#[tokio::test]
async fn the_service_manager_is_told_of_each_state() {
    let Managed { manager, program, kept: _kept } =
        Managed::start(&[("WATCHDOG_USEC", "40000")]).await;
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
    let directory = scratch();
    // The name of the directory is unique.
    let name = directory.path().to_str().unwrap();
    let address = SocketAddr::from_abstract_name(name).unwrap();
    let socket = UnixDatagram::bind_addr(&address).unwrap();
    let address = format!("@{name}");
    let Managed { manager, program, kept: _kept } =
        Managed::by(socket, &address, directory, &[]).await;
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
    let Managed { manager, program, kept } = Managed::start(&[]).await;
    manager.told("READY=1");
    std::fs::write(kept.0.path().join("ikgate.toml"), "[cache]\nttl = 1").unwrap();
    program.signal("HUP");
    let reloading = manager.heard();
    assert!(reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="), "{reloading}");
    let ready = manager.heard();
    assert!(ready.starts_with("READY=1\n"), "{ready}");
    program.signal("TERM");
    assert!(manager.heard().starts_with("STOPPING=1\n"), "ready once");
    let (code, log) = program.wait();
    assert_eq!(code, Some(0));
    assert!(log.contains("configuration not reloaded"), "{log}");
}

/// The service manager assigns messages from before its reload request to an older reload.
#[tokio::test]
async fn the_time_of_a_reload_is_of_the_monotonic_clock_when_it_began() {
    let Managed { manager, program, kept: _kept } = Managed::start(&[]).await;
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
    let environment = [("WATCHDOG_USEC", "40000"), ("IKGATE_SERVER__SHUTDOWN_DELAY", "60s")];
    let Managed { manager, program, kept: _kept } = Managed::start(&environment).await;
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
    let environment = [("WATCHDOG_USEC", "1000"), ("WATCHDOG_PID", "1")];
    let Managed { manager, program, kept: _kept } = Managed::start(&environment).await;
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
