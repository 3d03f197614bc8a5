//! Tests of TLS towards the upstream: the private key goes only to a verified server.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, Version};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rustls::ServerConfig;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::shared::{listen, read_head};
use crate::support::{Authority, FILE, Origin, Program, TestGateway, get, scratch, versions_of};

/// Server name (SNI) of each request's handshake.
type Asked = Arc<Mutex<Vec<Option<String>>>>;

/// Starts an upstream that answers a list with the HTTP version of the request, and records the
/// server name of each request.
async fn upstream(mut config: ServerConfig, protocols: &[&str]) -> (SocketAddr, Asked) {
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Asked::default();
    let counted = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, counted) = (acceptor.clone(), Arc::clone(&counted));
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let name = stream.get_ref().1.server_name().map(str::to_owned);
                let answer = service_fn(|request: Request<Incoming>| {
                    counted.lock().unwrap().push(name.clone());
                    let version = if request.version() == Version::HTTP_2 { 2 } else { 1 };
                    let body = Full::new(Bytes::from(format!("[{version}]")));
                    async move { Ok::<_, Infallible>(Response::new(body)) }
                });
                let served = auto::Builder::new(TokioExecutor::new());
                _ = served.serve_connection(TokioIo::new(stream), answer).await;
            });
        }
    });
    (address, asked)
}

async fn gateway(upstream: SocketAddr, ca: &str, directory: &Path) -> TestGateway {
    let ca_file = directory.join("ca.pem");
    std::fs::write(&ca_file, ca).unwrap();
    let (port, ca_file) = (upstream.port(), ca_file.display());
    let more = format!("[upstream]\nurl = \"https://localhost:{port}\"\nca_file = '{ca_file}'");
    TestGateway::configured(&Origin::start().await, &more)
}

#[tokio::test]
async fn an_upstream_is_trusted_by_the_configured_authority_in_either_http() {
    for (protocols, body) in
        [(&["h2", "http/1.1"][..], "[2]"), (&["http/1.1"], "[1]"), (&[], "[1]")]
    {
        let (directory, authority) = (scratch(), Authority::new());
        let (address, _asked) =
            upstream(authority.pair("localhost", 2999).server(), protocols).await;
        let gateway = gateway(address, &authority.pem, directory.path()).await;
        let answer = gateway.get(&versions_of(FILE)).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, body), "{protocols:?}");
        gateway.finish().await;
    }
}

#[tokio::test]
async fn an_upstream_hears_its_name() {
    let (directory, authority) = (scratch(), Authority::new());
    let (address, asked) = upstream(authority.pair("localhost", 2999).server(), &["h2"]).await;
    let gateway = gateway(address, &authority.pem, directory.path()).await;
    assert_eq!(gateway.get(&versions_of(FILE)).await.status, 200);
    assert_eq!(*asked.lock().unwrap(), [Some("localhost".to_owned())]);
    gateway.finish().await;
}

#[tokio::test]
async fn the_key_is_shown_to_no_other_server() {
    let (authority, other) = (Authority::new(), Authority::new());
    for (name, shown) in [
        ("another name", authority.pair("api.example.com", 2999).server()),
        ("a common name", authority.pair_of_common_name("localhost", 2999).server()),
        ("expired", authority.pair("localhost", 2020).server()),
        ("another authority", other.pair("localhost", 2999).server()),
    ] {
        let directory = scratch();
        let (address, asked) = upstream(shown, &["http/1.1"]).await;
        let gateway = gateway(address, &authority.pem, directory.path()).await;
        let refused = gateway.get(&versions_of(FILE)).await;
        assert_eq!(
            (refused.status, refused.code().as_str()),
            (502, "upstream_unreachable"),
            "{name}"
        );
        assert_eq!(*asked.lock().unwrap(), [], "{name}");
        gateway.finish().await;
    }
}

/// RFC 9110 section 4.3.4.
#[tokio::test]
async fn a_certificate_of_another_name_is_logged_with_its_cause_and_without_the_key() {
    let (directory, authority) = (scratch(), Authority::new());
    let shown = authority.pair("api.example.com", 2999).server();
    let (address, _asked) = upstream(shown, &["http/1.1"]).await;
    let config = directory.path().join("ikgate.toml");
    std::fs::write(directory.path().join("ca.pem"), &authority.pem).unwrap();
    let text = format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\n[admin]\nlisten = \"127.0.0.1:0\"\n\
         [upstream]\nurl = \"https://localhost:{}\"\nca_file = \"ca.pem\"\nretries.max = 0",
        address.port()
    );
    std::fs::write(&config, text).unwrap();
    let program = Program::serve(&config, &[("IMAGEKIT_PRIVATE_KEY", "private_canary=")]);
    assert_eq!(get(program.public, &versions_of(FILE)).await.status, 502);
    program.signal("TERM");
    let (_, log) = program.wait();
    let line = log.lines().find(|line| line.contains("no usable answer")).unwrap();
    let cause =
        "the upstream cannot be reached: client error (Connect): invalid peer certificate: ";
    assert!(line.contains(cause) && line.contains("api.example.com"), "{line}");
    assert!(!log.contains("canary"), "{log}");
}

/// Starts a TLS server that accepts one connection after another and serves each with `serve`.
async fn raw<F>(
    config: ServerConfig,
    serve: impl Fn(TlsStream<TcpStream>) -> F + Clone + Send + 'static,
) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let (address, _listening) = listen(move |stream| {
        let (acceptor, serve) = (acceptor.clone(), serve.clone());
        async move {
            let mut stream = acceptor.accept(stream).await.unwrap();
            while read_head(&mut stream).await.is_none() {}
            serve(stream).await;
        }
    })
    .await;
    address
}

/// RFC 9112 section 9.8: only the `close_notify` alert tells the end of such a body from a cut.
#[tokio::test]
async fn a_body_until_the_end_of_the_connection_is_whole_only_if_that_was_closed_in_order() {
    for (is_closed_in_order, status) in [(true, 200), (false, 502)] {
        let (directory, authority) = (scratch(), Authority::new());
        let shown = authority.pair("localhost", 2999).server();
        let address = raw(shown, move |mut stream| async move {
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n[]").await.unwrap();
            stream.flush().await.unwrap();
            if is_closed_in_order {
                stream.shutdown().await.unwrap();
            } else {
                stream.get_mut().0.shutdown().await.unwrap();
            }
        })
        .await;
        let gateway = gateway(address, &authority.pem, directory.path()).await;
        let answer = gateway.get(&versions_of(FILE)).await;
        assert_eq!(answer.status, status, "{answer:#?}");
        gateway.finish().await;
    }
}

/// RFC 9112 section 9.8.
#[tokio::test]
async fn a_connection_to_the_upstream_is_closed_in_order() {
    for connection in ["close", "keep-alive"] {
        let (directory, authority) = (scratch(), Authority::new());
        let shown = authority.pair("localhost", 2999).server();
        let (ended, mut endings) = mpsc::channel(1);
        let address = raw(shown, move |mut stream| {
            let ended = ended.clone();
            async move {
                let head = format!("HTTP/1.1 200 OK\r\nConnection: {connection}\r\n");
                let rest = "Content-Length: 2\r\n\r\n[]";
                stream.write_all((head + rest).as_bytes()).await.unwrap();
                stream.flush().await.unwrap();
                // Without the alert, the read is an error.
                let read = stream.read(&mut [0]).await.ok();
                _ = ended.send(read).await;
            }
        })
        .await;
        let gateway = gateway(address, &authority.pem, directory.path()).await;
        assert_eq!(gateway.get(&versions_of(FILE)).await.status, 200);
        gateway.finish().await;
        let ending = tokio::time::timeout(Duration::from_secs(20), endings.recv()).await;
        assert_eq!(ending.expect("still open"), Some(Some(0)), "{connection}");
    }
}
