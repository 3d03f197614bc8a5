//! Tests of the TLS protocol on the public listener: versions, cipher suites, sessions and closure.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::client::{
    ClientSessionMemoryCache, ClientSessionStore, Resumption, Tls12ClientSessionValue,
    Tls13ClientSessionValue,
};
use rustls::pki_types::ServerName;
use rustls::version::{TLS12, TLS13};
use rustls::{AlertDescription, CipherSuite, HandshakeKind, NamedGroup, ProtocolVersion};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::client_hello::{EXTENDED_MASTER_SECRET, RENEGOTIATION_INFO, Said, said};
use crate::support::{
    Authority, FILE, Origin, Reply, TestGateway, provider, scratch, secured, shake_hands,
    versions_of,
};

const PATIENCE: Duration = Duration::from_secs(20);

/// `TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256`.
const GOOD_SUITE: u16 = 0xc02b;

/// NULL, RC4, 3DES, static RSA, DHE, and CBC with ECDHE.
const WEAK_SUITES: [u16; 12] = [
    0x0001, 0x0005, 0x000a, 0x002f, 0x0035, 0x009c, 0x009e, 0xc006, 0xc007, 0xc009, 0xc011, 0xc013,
];

async fn started(more: &str) -> (TestGateway, Authority, tempfile::TempDir) {
    let (directory, origin) = (scratch(), Origin::start().await);
    origin.replies(&versions_of(FILE), Reply::json(200, "[1,2]"));
    let (authority, tls) = secured(directory.path());
    let gateway = TestGateway::configured(&origin, &format!("{tls}{more}"));
    (gateway, authority, directory)
}

fn request(fields: &str) -> String {
    format!("GET {} HTTP/1.1\r\nHost: a\r\n{fields}\r\n", versions_of(FILE))
}

#[tokio::test]
async fn versions_before_1_2_and_weak_suites_are_refused_by_alert() {
    let (gateway, _authority, _directory) = started("").await;
    for version in [0x0300, 0x0301, 0x0302] {
        let refused = said(gateway.public, version, &[GOOD_SUITE]).await;
        assert_eq!(refused, Said::Alert(70), "{version:#x}: protocol_version");
    }
    for suite in WEAK_SUITES {
        let refused = said(gateway.public, 0x0303, &[suite]).await;
        assert_eq!(refused, Said::Alert(40), "{suite:#x}: handshake_failure");
    }
    gateway.finish().await;
}

#[tokio::test]
async fn a_client_of_1_2_gets_a_strong_suite_no_compression_and_both_extensions() {
    let (gateway, _authority, _directory) = started("").await;
    let suites: Vec<_> = WEAK_SUITES.into_iter().chain([GOOD_SUITE]).collect();
    let Said::Hello { version, suite, compression, extensions } =
        said(gateway.public, 0x0303, &suites).await
    else {
        panic!("refused");
    };
    assert_eq!((version, suite, compression), (0x0303, GOOD_SUITE, 0));
    assert!(extensions.contains(&(RENEGOTIATION_INFO, vec![0])), "{extensions:?}");
    assert!(extensions.contains(&(EXTENDED_MASTER_SECRET, vec![])), "{extensions:?}");
    gateway.finish().await;
}

#[tokio::test]
async fn the_newest_version_of_both_is_spoken_and_its_mandatory_suite_is_there() {
    let (gateway, authority, _directory) = started("").await;
    let mut only = provider();
    only.cipher_suites.retain(|suite| suite.suite() == CipherSuite::TLS13_AES_128_GCM_SHA256);
    for (config, version) in [
        (authority.client(provider(), &[&TLS12, &TLS13]), ProtocolVersion::TLSv1_3),
        (authority.client(provider(), &[&TLS12]), ProtocolVersion::TLSv1_2),
        (authority.client(only, &[&TLS13]), ProtocolVersion::TLSv1_3),
    ] {
        let stream = TcpStream::connect(gateway.public).await.unwrap();
        let stream = shake_hands(Arc::new(config), stream).await.unwrap();
        assert_eq!(stream.get_ref().1.protocol_version(), Some(version));
    }
    gateway.finish().await;
}

#[tokio::test]
async fn a_client_that_offers_no_http_is_refused_by_alert() {
    let (gateway, authority, _directory) = started("").await;
    let refused = authority.connect(gateway.public, &["imap", "h2c"]).await.unwrap_err();
    let error = refused.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>());
    let expected = rustls::Error::AlertReceived(AlertDescription::NoApplicationProtocol);
    assert_eq!(error, Some(&expected));
    gateway.finish().await;
}

/// Session store of a client that also records the contents of tickets.
#[derive(Debug)]
struct Sessions {
    kept: ClientSessionMemoryCache,
    /// Lifetimes of TLS 1.2 tickets, in seconds, and early data that TLS 1.3 tickets allow, in
    /// bytes.
    lifetimes: Mutex<Vec<u32>>,
    early_data: Mutex<Vec<u32>>,
}

impl ClientSessionStore for Sessions {
    fn set_kx_hint(&self, name: ServerName<'static>, group: NamedGroup) {
        self.kept.set_kx_hint(name, group);
    }

    fn kx_hint(&self, name: &ServerName<'_>) -> Option<NamedGroup> {
        self.kept.kx_hint(name)
    }

    fn set_tls12_session(&self, name: ServerName<'static>, value: Tls12ClientSessionValue) {
        let printed = format!("{:?}", *value);
        let (_, lifetime) = printed.split_once("lifetime_secs: ").unwrap();
        let lifetime = lifetime.split(',').next().unwrap().parse().unwrap();
        self.lifetimes.lock().unwrap().push(lifetime);
        self.kept.set_tls12_session(name, value);
    }

    fn tls12_session(&self, name: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.kept.tls12_session(name)
    }

    fn remove_tls12_session(&self, name: &ServerName<'static>) {
        self.kept.remove_tls12_session(name);
    }

    fn insert_tls13_ticket(&self, name: ServerName<'static>, value: Tls13ClientSessionValue) {
        self.early_data.lock().unwrap().push(value.max_early_data_size());
        self.kept.insert_tls13_ticket(name, value);
    }

    fn take_tls13_ticket(&self, name: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.kept.take_tls13_ticket(name)
    }
}

#[tokio::test]
async fn a_session_is_resumed_by_a_ticket_that_lives_for_hours_and_allows_no_early_data() {
    let (gateway, authority, _directory) = started("").await;
    for version in [&TLS12, &TLS13] {
        let sessions = Arc::new(Sessions {
            kept: ClientSessionMemoryCache::new(8),
            lifetimes: Mutex::default(),
            early_data: Mutex::default(),
        });
        let mut config = authority.client(provider(), &[version]);
        let store: Arc<dyn ClientSessionStore> = Arc::<Sessions>::clone(&sessions);
        config.resumption = Resumption::store(store);
        config.enable_early_data = true;
        let config = Arc::new(config);
        for kind in [HandshakeKind::Full, HandshakeKind::Resumed] {
            let stream = TcpStream::connect(gateway.public).await.unwrap();
            let mut stream = shake_hands(Arc::clone(&config), stream).await.unwrap();
            assert_eq!(stream.get_ref().1.handshake_kind(), Some(kind), "{version:?}");
            assert!(!stream.get_ref().1.is_early_data_accepted(), "{version:?}");
            stream.write_all(request("Connection: close\r\n").as_bytes()).await.unwrap();
            // TLS 1.3 tickets arrive while the client reads.
            stream.read_to_end(&mut Vec::new()).await.unwrap();
        }
        let lifetimes = sessions.lifetimes.lock().unwrap().clone();
        let early_data = sessions.early_data.lock().unwrap().clone();
        if *version == TLS12 {
            let some = !lifetimes.is_empty();
            assert!(
                some && lifetimes.iter().all(|&at| (1..=86_400).contains(&at)),
                "{lifetimes:?}"
            );
        } else {
            assert!(!early_data.is_empty() && early_data.iter().all(|&size| size == 0));
        }
    }
    gateway.finish().await;
}

/// Without `close_notify`, a client cannot tell the end from a connection that an attacker cut.
#[tokio::test]
async fn every_end_of_a_connection_is_told() {
    let times = "[server]\nheader_timeout = \"1s\"\nidle_timeout = \"1s\"\n";
    let (gateway, authority, _directory) = started(times).await;
    let (last, refused) = (request("Connection: close\r\n"), "GET / HTTP/1.1\r\nHost a\r\n\r\n");
    for (sent, begins) in [
        (last.as_str(), "HTTP/1.1 200"),
        (refused, "HTTP/1.1 400"),
        ("GET / HTTP/1.1\r\nHost:", "HTTP/1.1 408"),
        // A connection that is idle from the start, and one that is idle after a response.
        ("", ""),
        (&request(""), "HTTP/1.1 200"),
    ] {
        let mut stream = authority.connect(gateway.public, &["http/1.1"]).await.unwrap();
        stream.write_all(sent.as_bytes()).await.unwrap();
        let mut received = Vec::new();
        let ended = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut received)).await;
        assert!(ended.expect("still open").is_ok(), "{sent:?}");
        assert!(String::from_utf8(received).unwrap().starts_with(begins), "{sent:?}");
    }
    gateway.finish().await;
}

#[tokio::test]
async fn the_end_of_a_connection_in_a_drain_is_told() {
    let (gateway, authority, _directory) = started("").await;
    let mut stream = authority.connect(gateway.public, &["http/1.1"]).await.unwrap();
    stream.write_all(request("").as_bytes()).await.unwrap();
    let mut first = [0; 12];
    stream.read_exact(&mut first).await.unwrap();
    assert_eq!(first, *b"HTTP/1.1 200");
    let drained = tokio::spawn(gateway.into_app().shut_down());
    let ended = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut Vec::new())).await;
    assert!(ended.expect("still open").is_ok());
    drop(stream);
    drained.await.unwrap();
}
