//! Tests of socket activation: sockets that a service manager passes, identified by their names.

use std::fs::File;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, AsRawFd as _};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use crate::support::{FILE, Program, get, run_passed, scratch, send, versions_of};

const KEY: (&str, &str) = ("IMAGEKIT_PRIVATE_KEY", "private_a=");

/// Variables for two passed sockets, named `web` and `admin`.
const NAMED: &str = "LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=web:admin";

/// Writes a configuration with an admin token, so that the admin listener may use any address.
fn config(directory: &Path, public: &str, admin: &str) -> PathBuf {
    std::fs::write(directory.join("admin.token"), "t0ken-of-sixteen").unwrap();
    let file = directory.join("ikgate.toml");
    let text = format!(
        "[server]\nlisten = [{public:?}]\n[admin]\nlisten = {admin:?}\n\
         token_file = \"admin.token\"\n[limits]\nanonymous = false\n\
         [upstream]\nurl = \"http://127.0.0.1:1\""
    );
    std::fs::write(&file, text).unwrap();
    file
}

fn socket() -> (TcpListener, SocketAddr) {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

/// Returns whether a public listener answers at `address`.
async fn is_public(address: SocketAddr) -> bool {
    get(address, &versions_of(FILE)).await.status == 401
}

/// Returns whether the admin listener answers at `address`.
async fn is_admin(address: SocketAddr) -> bool {
    let token = [("Authorization", "Bearer t0ken-of-sixteen")];
    send(address, "GET", "/api/config", &token).await.status == 200
}

/// Returns whether the program has a copy of the descriptor `own`.
fn holds(program: &Program, own: &impl AsFd) -> bool {
    let own = format!("/proc/self/fd/{}", own.as_fd().as_raw_fd());
    let own = std::fs::read_link(own).unwrap();
    let open = std::fs::read_dir(format!("/proc/{}/fd", program.id())).unwrap();
    // A descriptor may be closed meanwhile.
    open.filter_map(|entry| std::fs::read_link(entry.unwrap().path()).ok()).any(|open| open == own)
}

/// Runs the program, which must refuse to start, and returns its error message.
fn refused(config: &Path, variables: &str, sockets: &[&dyn AsFd]) -> String {
    let ended = run_passed(config, &[KEY], variables, sockets);
    let told = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(1), "{told}");
    told
}

#[tokio::test]
async fn the_socket_named_admin_is_the_operators_and_the_others_are_the_callers() {
    let directory = scratch();
    let config = config(directory.path(), "systemd", "systemd");
    for (names, places) in [("web:admin", [0, 1]), ("admin:web", [1, 0]), ("admin", [1, 0])] {
        let ((first, one), (second, two)) = (socket(), socket());
        let variables = format!("LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES={names}");
        let program = Program::serve_passed(&config, &[KEY], &variables, &[&first, &second]);
        let addresses = [one, two];
        let [public, admin] = places.map(|place: usize| addresses[place]);
        assert_eq!((program.public, program.admin), (public, admin), "{names}");
        assert!(is_public(public).await && is_admin(admin).await, "{names}");
        let refused = get(admin, "/api/config").await;
        assert_eq!(refused.status, 401, "{names}: a passed socket may be reached from elsewhere");
    }
}

#[tokio::test]
async fn sockets_of_the_same_name_or_of_none_are_all_listened_on() {
    let directory = scratch();
    let config = config(directory.path(), "systemd", "127.0.0.1:0");
    for names in ["LISTEN_FDNAMES=web:web", "LISTEN_FDNAMES=web", "LISTEN_FDNAMES=", "UNNAMED=1"] {
        let ((first, one), (second, two)) = (socket(), socket());
        let variables = format!("LISTEN_PID=$$ LISTEN_FDS=2 {names}");
        let program = Program::serve_passed(&config, &[KEY], &variables, &[&first, &second]);
        assert!(is_public(one).await && is_public(two).await, "{names}");
        assert!(is_admin(program.admin).await, "{names}");
    }
}

#[tokio::test]
async fn a_socket_that_no_listener_takes_is_closed_and_the_gateway_starts() {
    let (directory, address) = (scratch(), "127.0.0.1:0");
    for (public, admin, held) in [
        ("systemd", "systemd", [true, true]),
        ("systemd", address, [true, false]),
        (address, "systemd", [false, true]),
        (address, address, [false, false]),
    ] {
        let config = config(directory.path(), public, admin);
        let (first, second) = (socket().0, socket().0);
        let program = Program::serve_passed(&config, &[KEY], NAMED, &[&first, &second]);
        assert_eq!([&first, &second].map(|own| holds(&program, own)), held, "{public} {admin}");
        assert!(is_public(program.public).await && is_admin(program.admin).await);
    }
    let config = config(directory.path(), "systemd", address);
    let ((first, public), udp) = (socket(), UdpSocket::bind(address).unwrap());
    let program = Program::serve_passed(&config, &[KEY], NAMED, &[&first, &udp]);
    assert!(is_public(public).await && !holds(&program, &udp), "nor if it is no listener");
}

#[test]
fn no_socket_or_more_than_one_for_the_admin_listener_is_an_error_of_its_key() {
    let directory = scratch();
    let config = config(directory.path(), "127.0.0.1:0", "systemd");
    let ((first, _), (second, _)) = (socket(), socket());
    for (names, count) in [("web:http", 0), ("Admin:admin2", 0), ("admin:admin", 2)] {
        let variables = format!("LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES={names}");
        let told = refused(&config, &variables, &[&first, &second]);
        let expected =
            format!("admin.listen says \"systemd\", and {count} sockets named \"admin\"");
        assert!(told.contains(&expected), "{names}: {told}");
    }
}

#[test]
fn the_socket_of_the_admin_listener_alone_is_none_for_the_public_one() {
    let directory = scratch();
    let config = config(directory.path(), "systemd", "127.0.0.1:0");
    let variables = "LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=admin";
    let told = refused(&config, variables, &[&socket().0]);
    assert!(told.contains("server.listen says \"systemd\", and no socket was passed"), "{told}");
}

#[test]
fn what_is_passed_and_cannot_be_listened_on_is_an_error_that_names_its_place() {
    let directory = scratch();
    let config = config(directory.path(), "systemd", "systemd");
    let (first, address) = socket();
    let connected = TcpStream::connect(address).unwrap();
    let path = directory.path().join("socket");
    let (udp, unix) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UnixListener::bind(path).unwrap());
    let file = File::open(&config).unwrap();
    let sockets: [(&dyn AsFd, &str); 4] = [
        (&connected, "does not listen"),
        (&udp, "not a valid tcp socket"),
        (&unix, "not a valid tcp socket"),
        (&file, "not a socket"),
    ];
    for (other, why) in sockets {
        let told = refused(&config, NAMED, &[&first, other]);
        assert!(told.contains("descriptor 4 was passed (named \"admin\")"), "{told}");
        assert!(told.contains(why), "{told}");
        let swapped = refused(&config, NAMED, &[other, &first]);
        assert!(swapped.contains("descriptor 3 was passed (named \"web\")"), "{swapped}");
    }
}

/// With another `LISTEN_PID`, the descriptors belong to another process.
#[tokio::test]
async fn sockets_of_another_process_or_of_none_are_left_alone() {
    let directory = scratch();
    let own = config(directory.path(), "127.0.0.1:0", "127.0.0.1:0");
    let (first, second) = (socket().0, socket().0);
    let others = [
        "LISTEN_PID=1 LISTEN_FDS=2 LISTEN_FDNAMES=web:admin",
        "LISTEN_FDS=2 LISTEN_FDNAMES=web:admin",
        "LISTEN_PID= LISTEN_FDS=2",
        "LISTEN_PID=$$ LISTEN_FDNAMES=web:admin",
        "LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDS_FIRST_FD=4",
    ];
    for variables in others {
        let program = Program::serve_passed(&own, &[KEY], variables, &[&first, &second]);
        assert!(holds(&program, &first) && holds(&program, &second), "{variables}");
    }
    let passed = config(directory.path(), "systemd", "127.0.0.1:0");
    for variables in others {
        let told = refused(&passed, variables, &[&first, &second]);
        assert!(told.contains("no socket was passed"), "{variables}: {told}");
    }
}

#[tokio::test]
async fn passed_sockets_are_closed_on_exec() {
    let directory = scratch();
    let config = config(directory.path(), "systemd", "systemd");
    let (first, second) = (socket().0, socket().0);
    let program = Program::serve_passed(&config, &[KEY], NAMED, &[&first, &second]);
    for descriptor in [3, 4] {
        let info = format!("/proc/{}/fdinfo/{descriptor}", program.id());
        let info = std::fs::read_to_string(info).unwrap();
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).unwrap();
        let flags = u32::from_str_radix(flags.trim(), 8).unwrap();
        assert_eq!(flags & 0o2_000_000, 0o2_000_000, "{descriptor}: {info}");
    }
}

#[tokio::test]
async fn a_reload_leaves_passed_sockets_where_they_are() {
    let directory = scratch();
    let file = config(directory.path(), "systemd", "systemd");
    let ((first, public), (second, admin)) = (socket(), socket());
    let program = Program::serve_passed(&file, &[KEY], NAMED, &[&first, &second]);
    config(directory.path(), "systemd", "127.0.0.1:0");
    program.signal("HUP");
    let reloaded = async {
        let counted = "ikgate_config_reloads_total{outcome=\"applied\"} 1\n";
        while !get(admin, "/metrics").await.body.contains(counted) {}
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), reloaded).await.unwrap();
    assert!(is_public(public).await && is_admin(admin).await);
    let token = [("Authorization", "Bearer t0ken-of-sixteen")];
    let in_force = send(admin, "GET", "/api/config", &token).await.json();
    assert_eq!(in_force["admin"]["listen"], "systemd");
    program.signal("TERM");
    let (code, log) = program.wait();
    assert_eq!(code, Some(0));
    assert!(log.contains("\"keys\":\"admin.listen\""), "{log}");
}
