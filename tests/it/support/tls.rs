//! Test certificate authority, its certificates, and TLS connections that trust only it.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{
    ClientConfig, DEFAULT_VERSIONS, RootCertStore, ServerConfig, SupportedProtocolVersion,
};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) pem: String,
    der: CertificateDer<'static>,
}

/// Certificate of the test authority, with its key.
pub(crate) struct Pair {
    certificate: rcgen::Certificate,
    key: KeyPair,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        let (pem, der) = (certificate.pem(), certificate.der().clone());
        Self { issuer: Issuer::new(params, key), pem, der }
    }

    /// Issues a certificate for `name`, valid until the end of `year`.
    pub(crate) fn pair(&self, name: &str, year: i32) -> Pair {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(year, 12, 31);
        Pair { certificate: params.signed_by(&key, &self.issuer).unwrap(), key }
    }

    /// Issues a certificate with the name only in the Common Name, without alternative names.
    pub(crate) fn pair_of_common_name(&self, name: &str, year: i32) -> Pair {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        (params.not_before, params.not_after) =
            (date_time_ymd(2000, 1, 1), date_time_ymd(year, 12, 31));
        Pair { certificate: params.signed_by(&key, &self.issuer).unwrap(), key }
    }

    /// Opens a TLS connection to a server with a certificate of this authority for localhost.
    pub(crate) async fn connect(
        &self,
        address: SocketAddr,
        protocols: &[&str],
    ) -> std::io::Result<TlsStream<TcpStream>> {
        self.connect_over(TcpStream::connect(address).await?, protocols).await
    }

    /// Opens a TLS connection over an existing stream.
    pub(crate) async fn connect_over(
        &self,
        stream: TcpStream,
        protocols: &[&str],
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let mut config = self.client(provider(), DEFAULT_VERSIONS);
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        shake_hands(Arc::new(config), stream).await
    }

    /// Returns a client configuration that trusts only this authority, in these TLS versions.
    pub(crate) fn client(
        &self,
        provider: CryptoProvider,
        versions: &[&'static SupportedProtocolVersion],
    ) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone()).unwrap();
        ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth()
    }
}

pub(crate) async fn shake_hands(
    config: Arc<ClientConfig>,
    stream: TcpStream,
) -> std::io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from("localhost").unwrap();
    stream.set_nodelay(true)?;
    TlsConnector::from(config).connect(name, stream).await
}

/// Returns an authority, and the configuration section with its certificate for localhost.
pub(crate) fn secured(directory: &Path) -> (Authority, String) {
    let authority = Authority::new();
    let pair = authority.pair("localhost", 2999);
    pair.write_certificate(directory);
    pair.write_key(directory);
    (authority, section(directory))
}

/// Returns the configuration section that names the certificate files of this directory.
pub(crate) fn section(directory: &Path) -> String {
    let at = directory.display();
    format!("[server.tls]\ncertificate = '{at}/cert.pem'\nkey = '{at}/key.pem'\n")
}

impl Pair {
    /// Returns the configuration of a server that presents this certificate.
    pub(crate) fn server(&self) -> ServerConfig {
        let key = PrivateKeyDer::Pkcs8(self.key.serialize_der().into());
        ServerConfig::builder_with_provider(Arc::new(provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![self.certificate.der().clone()], key)
            .unwrap()
    }

    pub(crate) fn write_certificate(&self, directory: &Path) {
        std::fs::write(directory.join("cert.pem"), self.certificate.pem()).unwrap();
    }

    pub(crate) fn write_key(&self, directory: &Path) {
        std::fs::write(directory.join("key.pem"), self.key.serialize_pem()).unwrap();
    }
}

pub(crate) fn provider() -> CryptoProvider {
    rustls::crypto::aws_lc_rs::default_provider()
}
