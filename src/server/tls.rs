//! TLS of the listeners: a certificate and its key, read from files and read again when they
//! change.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use memchr::memmem;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest as _, Sha256};
use tokio_rustls::TlsAcceptor;
use x509_cert::Certificate;
use x509_cert::der::Decode as _;
use zeroize::Zeroizing;

/// Time before the end of a certificate from which on its operator is warned.
const EXPIRES_SOON: Duration = Duration::from_hours(14 * 24);
const DAY_SECONDS: u64 = 24 * 60 * 60;

/// Longest file that is read, in bytes. A chain has a few KB. A larger file is a wrong path.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Protocols offered by ALPN, the preferred one first.
const PROTOCOLS: [&[u8]; 2] = [HTTP_2, b"http/1.1"];
pub(super) const HTTP_2: &[u8] = b"h2";

/// Paths of both files, in PEM. In the chain, the server's certificate comes before those that
/// vouch for it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TlsFiles {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// TLS of a listener, shared with the code that replaces it. Empty: the listener speaks plain HTTP.
pub type TlsSlot = Arc<ArcSwapOption<Tls>>;

/// Certificate and key in use, and the files that they come from.
#[derive(Debug)]
pub struct Tls {
    files: TlsFiles,
    current: ArcSwap<Identity>,
    /// Error of the last read of the files. Empty: they held a usable pair.
    problem: ArcSwapOption<TlsError>,
}

/// Certificate chain and TLS configuration in use.
#[derive(Debug)]
struct Identity {
    config: Arc<ServerConfig>,
    /// SHA-256 of the files' content.
    digest: [u8; 32],
    /// Earliest expiry of the chain's certificates, as time since 1970.
    expires: Duration,
}

/// Time that a certificate has left.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Expiry {
    /// No client accepts it any more.
    Expired,
    /// Whole days, fewer than 14: its renewal has probably failed.
    Soon {
        days: u64,
    },
    Later,
}

/// Outcome of reading the files again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TlsChange {
    Changed,
    Unchanged,
}

/// Reason why the files do not give a usable pair.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("cannot read {path}", path = .path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{path} has more than {FILE_BYTES_MAX} bytes", path = .path.display())]
    TooLong { path: PathBuf },
    #[error("{path} holds no certificate in PEM", path = .path.display())]
    NoCertificate { path: PathBuf },
    #[error("{path} holds something that is not a certificate", path = .path.display())]
    BadCertificate { path: PathBuf },
    #[error("{path} holds no private key in PEM", path = .path.display())]
    NoKey { path: PathBuf },
    #[error(
        "{path} holds an encrypted key, and ikgate takes no passphrase: decrypt it into another file \
         with openssl pkey -in {path} -out FILE",
        path = .path.display()
    )]
    EncryptedKey { path: PathBuf },
    #[error("the certificate and the key cannot be used together")]
    Unusable(#[from] rustls::Error),
}

impl TlsError {
    /// Returns whether the error is of the key's file, and not of the certificate's or of the pair.
    pub fn is_of_key(&self, files: &TlsFiles) -> bool {
        match self {
            Self::NoKey { .. } | Self::EncryptedKey { .. } => true,
            Self::Unreadable { path, .. } | Self::TooLong { path } => {
                *path == files.key && files.key != files.certificate
            }
            Self::NoCertificate { .. } | Self::BadCertificate { .. } | Self::Unusable(_) => false,
        }
    }
}

impl Tls {
    pub fn load(files: TlsFiles) -> Result<Self, TlsError> {
        let identity = Identity::new(&files, &Contents::read(&files)?)?;
        let (current, problem) = (ArcSwap::from_pointee(identity), ArcSwapOption::empty());
        Ok(Self { files, current, problem })
    }

    /// Reads the files again. On an error the last good pair stays in use. The same holds while
    /// only one of the two files has been replaced.
    ///
    /// Compares content: Kubernetes swaps symbolic links, so names and times say little.
    pub fn refresh(&self) -> Result<TlsChange, Arc<TlsError>> {
        let read = self.read_again().map_err(Arc::new);
        self.problem.store(read.as_ref().err().cloned());
        read
    }

    /// Returns the error of the last read of the files, if that read found no usable pair.
    pub fn problem(&self) -> Option<Arc<TlsError>> {
        self.problem.load_full()
    }

    fn read_again(&self) -> Result<TlsChange, TlsError> {
        let contents = Contents::read(&self.files)?;
        if contents.digest() == self.current.load().digest {
            return Ok(TlsChange::Unchanged);
        }
        self.current.store(Arc::new(Identity::new(&self.files, &contents)?));
        Ok(TlsChange::Changed)
    }

    /// Returns whether the content of both files is the same.
    pub fn is_same_pair(&self, other: &Self) -> bool {
        self.current.load().digest == other.current.load().digest
    }

    /// Returns the earliest expiry of the chain's certificates, as time since 1970.
    pub fn expires(&self) -> Duration {
        self.current.load().expires
    }

    /// Returns how soon the chain expires. `now`: time since 1970.
    pub fn expiry(&self, now: Duration) -> Expiry {
        match self.expires().checked_sub(now) {
            None => Expiry::Expired,
            Some(left) if left < EXPIRES_SOON => {
                Expiry::Soon { days: left.as_secs() / DAY_SECONDS }
            }
            Some(_) => Expiry::Later,
        }
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        Arc::clone(&self.current.load().config).into()
    }
}

struct Contents {
    certificate: Vec<u8>,
    key: Zeroizing<Vec<u8>>,
}

impl Contents {
    fn read(files: &TlsFiles) -> Result<Self, TlsError> {
        let (certificate, key) = (read(&files.certificate)?, Zeroizing::new(read(&files.key)?));
        Ok(Self { certificate, key })
    }

    fn digest(&self) -> [u8; 32] {
        let mut digest = Sha256::new();
        for part in [&self.certificate, &*self.key] {
            digest.update((part.len() as u64).to_le_bytes());
            digest.update(part);
        }
        digest.finalize().into()
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    use std::io::Read as _;
    let unreadable = |source| TlsError::Unreadable { path: path.to_owned(), source };
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(TlsError::TooLong { path: path.to_owned() });
    }
    Ok(bytes)
}

impl Identity {
    fn new(files: &TlsFiles, contents: &Contents) -> Result<Self, TlsError> {
        let path = || files.certificate.clone();
        let chain: Result<Vec<_>, pem::Error> =
            CertificateDer::pem_slice_iter(&contents.certificate).collect();
        let chain = chain.map_err(|_| TlsError::BadCertificate { path: path() })?;
        let expires = chain.iter().map(expiry).collect::<Option<Vec<_>>>();
        let expires = expires.ok_or_else(|| TlsError::BadCertificate { path: path() })?;
        let Some(expires) = expires.into_iter().min() else {
            return Err(TlsError::NoCertificate { path: path() });
        };
        let key = PrivateKeyDer::from_pem_slice(&contents.key).map_err(|_| {
            let path = files.key.clone();
            if is_encrypted(&contents.key) {
                TlsError::EncryptedKey { path }
            } else {
                TlsError::NoKey { path }
            }
        })?;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).into();
        // Clients keep their sessions in tickets, so the server keeps none.
        config.ticketer = aws_lc_rs::Ticketer::new()?;
        Ok(Self { config: Arc::new(config), digest: contents.digest(), expires })
    }
}

/// Returns whether a PEM file holds an encrypted key: of PKCS #8 (RFC 5958), or of the older form that
/// OpenSSL writes for one algorithm (RFC 1421).
fn is_encrypted(pem: &[u8]) -> bool {
    let has = |mark: &str| memmem::find(pem, mark.as_bytes()).is_some();
    has("-----BEGIN ENCRYPTED PRIVATE KEY-----") || has("Proc-Type: 4,ENCRYPTED")
}

fn expiry(certificate: &CertificateDer<'_>) -> Option<Duration> {
    let certificate = Certificate::from_der(certificate).ok()?;
    Some(certificate.tbs_certificate().validity().not_after.to_unix_duration())
}
