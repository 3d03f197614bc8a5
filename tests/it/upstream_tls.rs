//! TLS towards the upstream: whom the private key is shown to.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response, Version};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rustls::ServerConfig;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::support::{Authority, FILE, Origin, TestGateway, scratch, versions_of};

/// The name that each request's handshake was for.
type Asked = Arc<Mutex<Vec<Option<String>>>>;

/// Answers a list that says which HTTP it was asked in, and keeps the server name of each request.
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
async fn the_key_is_shown_to_nobody_else() {
    let (authority, other) = (Authority::new(), Authority::new());
    for (name, shown) in [
        ("another name", authority.pair("api.example.com", 2999).server()),
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
