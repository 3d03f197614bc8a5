//! TLS towards the upstream: whom the private key is shown to.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::{Request, Response, Version};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::support::{FILE, Origin, TestGateway, scratch, versions_of};

/// An authority of our own.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// What a server for `name` shows, valid until the end of `year`.
    fn server(&self, name: &str, year: i32) -> ServerConfig {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(year, 12, 31);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap()
    }
}

/// Answers a list that says which HTTP it was asked in, and counts.
async fn upstream(mut config: ServerConfig, protocols: &[&str]) -> (SocketAddr, Arc<AtomicUsize>) {
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Arc::<AtomicUsize>::default();
    let counted = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, counted) = (acceptor.clone(), Arc::clone(&counted));
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let answer = service_fn(|request: Request<Incoming>| {
                    counted.fetch_add(1, Ordering::SeqCst);
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
        let (address, _asked) = upstream(authority.server("localhost", 2999), protocols).await;
        let gateway = gateway(address, &authority.pem, directory.path()).await;
        let answer = gateway.get(&versions_of(FILE)).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, body), "{protocols:?}");
        gateway.finish().await;
    }
}

#[tokio::test]
async fn the_key_is_shown_to_nobody_else() {
    let (authority, other) = (Authority::new(), Authority::new());
    for (name, shown) in [
        ("another name", authority.server("api.example.com", 2999)),
        ("expired", authority.server("localhost", 2020)),
        ("another authority", other.server("localhost", 2999)),
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
        assert_eq!(asked.load(Ordering::SeqCst), 0, "{name}");
        gateway.finish().await;
    }
}
