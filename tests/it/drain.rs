//! Tests of the graceful shutdown (drain) of a gateway.

use std::time::Duration;

use ikgate::server::DrainEnd;

use crate::support::{Connection, FILE, Origin, Program, Reply, TestGateway, scratch, versions_of};

#[tokio::test]
async fn what_has_begun_finishes_idle_connections_close_and_nothing_new_begins() {
    let origin = Origin::start().await;
    let path = versions_of(FILE);
    origin.replies(&path, Reply::json(200, "[1]"));
    origin.hold(&path);
    let gateway = TestGateway::start(&origin);
    let address = gateway.public;
    let mut idle = Connection::open(address).await;
    idle.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    idle.read("GET").await.unwrap();
    let mut busy = Connection::open(address).await;
    busy.write(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
    origin.has_seen(&path, 1).await;

    let drained = tokio::spawn(gateway.into_app().shut_down());
    assert!(idle.is_closed().await);
    origin.release(&path);
    let answer = busy.read("GET").await.unwrap();
    assert_eq!((answer.status, answer.field("connection")), (200, "close"));
    assert_eq!(drained.await.unwrap(), DrainEnd::Finished);
    // A process that another test is starting holds a copy of every descriptor until its exec. The
    // kernel then still accepts connections, but no process answers them.
    if let Ok(mut late) = Connection::try_open(address).await {
        assert!(late.is_closed().await);
    }
}

#[tokio::test]
async fn what_does_not_finish_in_time_is_cut_and_counted() {
    let origin = Origin::start().await;
    let path = versions_of(FILE);
    origin.hold(&path);
    let gateway = TestGateway::configured(&origin, "server.shutdown_grace = \"50ms\"");
    let mut stuck = Connection::open(gateway.public).await;
    stuck.write(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
    origin.has_seen(&path, 1).await;
    assert_eq!(gateway.into_app().shut_down().await, DrainEnd::Cut { connections: 1 });
    let told = stuck.read("GET").await.unwrap();
    assert_eq!((told.status, told.code().as_str()), (503, "shutting_down"));
    assert_eq!((told.field("retry-after"), told.field("retry-after-ms")), ("1", "1000"));
    assert_eq!((told.field("connection"), told.find("x-ratelimit-reset")), ("close", None));
    assert!(stuck.is_closed().await);
}

#[tokio::test]
async fn what_cannot_even_be_told_is_cut() {
    let origin = Origin::start().await;
    let gateway = TestGateway::configured(&origin, "server.shutdown_grace = \"50ms\"");
    let mut slow = Connection::open(gateway.public).await;
    slow.write("GET / HTTP/1.1\r\nHost:").await;
    gateway.has_connections(1).await;
    assert_eq!(gateway.into_app().shut_down().await, DrainEnd::Cut { connections: 1 });
    assert!(slow.is_closed().await);
}

/// A client may already be sending its next request: closing at once would lose it.
#[tokio::test]
async fn a_request_that_is_on_its_way_when_the_drain_begins_is_answered() {
    let origin = Origin::start().await;
    let path = versions_of(FILE);
    origin.replies(&path, Reply::json(200, "[1]"));
    let gateway = TestGateway::start(&origin);
    let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut used = Connection::open(gateway.public).await;
    used.write(&request).await;
    assert_eq!(used.read("GET").await.unwrap().find("connection"), None);
    let (public, admin) = (gateway.public, gateway.admin);
    let mut fresh = Connection::open(public).await;
    gateway.has_connections(2).await;
    let drained = tokio::spawn(gateway.into_app().shut_down());
    while crate::support::get(admin, "/readyz").await.status == 200 {}
    for connection in [&mut used, &mut fresh] {
        connection.write(&request).await;
        let answer = connection.read("GET").await.unwrap();
        assert_eq!((answer.status, answer.field("connection")), (200, "close"));
        assert!(connection.is_closed().await);
    }
    assert_eq!(drained.await.unwrap(), DrainEnd::Finished);
}

/// Connections that the kernel has accepted would otherwise be reset with the socket.
#[tokio::test]
async fn connections_that_are_not_accepted_yet_are_answered() {
    let origin = Origin::start().await;
    let path = versions_of(FILE);
    origin.replies(&path, Reply::json(200, "[1]"));
    let gateway = TestGateway::start(&origin);
    gateway.get(&path).await;
    // The test runs on one thread, so no other task runs in between.
    let waiting: Vec<_> =
        (0..100).map(|_| std::net::TcpStream::connect(gateway.public).unwrap()).collect();
    let drained = tokio::spawn(gateway.into_app().shut_down());
    for stream in waiting {
        stream.set_nonblocking(true).unwrap();
        let mut connection = Connection::over(tokio::net::TcpStream::from_std(stream).unwrap());
        connection.write(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
        assert!(connection.read("GET").await.is_some());
    }
    assert_eq!(drained.await.unwrap(), DrainEnd::Finished);
}

#[tokio::test]
async fn between_the_signal_and_the_end_it_is_not_ready_but_still_serves() {
    let directory = scratch();
    let config = directory.path().join("ikgate.toml");
    let text = "[server]\nlisten = [\"127.0.0.1:0\"]\nshutdown_delay = \"60s\"\n\
                [admin]\nlisten = \"127.0.0.1:0\"\n[upstream]\nurl = \"http://127.0.0.1:1\"";
    std::fs::write(&config, text).unwrap();
    let program = Program::serve(&config, &[("IMAGEKIT_PRIVATE_KEY", "private_a=")]);
    program.signal("TERM");
    let not_ready =
        async { while crate::support::get(program.admin, "/readyz").await.status == 200 {} };
    tokio::time::timeout(Duration::from_secs(20), not_ready).await.expect("still ready");
    let answer = crate::support::get(program.public, &versions_of(FILE)).await;
    assert_eq!(answer.code(), "upstream_unreachable");
    program.signal("TERM");
    let (code, _log) = program.wait();
    assert_eq!(code, Some(1), "a second signal does not wait");
}

#[tokio::test]
async fn either_signal_ends_it_with_success() {
    for name in ["TERM", "INT"] {
        let directory = scratch();
        let config = directory.path().join("ikgate.toml");
        let text = "[server]\nlisten = [\"127.0.0.1:0\"]\n[admin]\nlisten = \"127.0.0.1:0\"\n\
                    [upstream]\nurl = \"http://127.0.0.1:1\"";
        std::fs::write(&config, text).unwrap();
        let program = Program::serve(&config, &[("IMAGEKIT_PRIVATE_KEY", "private_a=")]);
        program.signal(name);
        let (code, log) = program.wait();
        assert_eq!(code, Some(0), "{name}: {log}");
    }
}
