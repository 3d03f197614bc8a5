//! Secrets: values that cannot be printed or serialised, and are wiped from memory when dropped.
//!
//! [`PrivateKey`] is ImageKit's private key. It can read and delete everything in the account, so
//! the gateway puts it into the `Authorization` field of upstream requests and nowhere else.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::{ArcSwap, ArcSwapOption};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use http::HeaderValue;
use parking_lot::Mutex;
use zeroize::Zeroizing;

/// Longest secret accepted from a file, in bytes. A key has about 40; a wrong path must not read a
/// video into memory.
const SECRET_BYTES_MAX: u64 = 64 * 1024;

/// Secret text. Its `Debug` output does not contain the text.
#[derive(Clone, Eq, PartialEq)]
pub struct Secret(Zeroizing<String>);

/// Reason why a secret could not be read from its file.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error("cannot read {path}", path = .path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{path} is empty", path = .path.display())]
    Empty { path: PathBuf },
    #[error("{path} has more than {SECRET_BYTES_MAX} bytes", path = .path.display())]
    TooLong { path: PathBuf },
    #[error("{path} is not one line of visible ASCII", path = .path.display())]
    NotText { path: PathBuf },
    #[error("{path} holds the public key; what is needed begins with private_", path = .path.display())]
    PublicKey { path: PathBuf },
    #[error("{path} holds a colon: ImageKit's keys have none, and a key with a colon cannot be sent", path = .path.display())]
    Colon { path: PathBuf },
}

impl Secret {
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// Reads one line from a file.
    ///
    /// Surrounding white space is not part of the secret. Everything else is, also a trailing `=`:
    /// without it ImageKit answers 403.
    pub fn from_file(path: &Path) -> Result<Self, SecretError> {
        let text = Self::lines_from_file(path)?;
        let line = text.expose().trim_ascii();
        if is_one_word(line) {
            Ok(Self::new(line.to_owned()))
        } else {
            Err(SecretError::NotText { path: path.to_owned() })
        }
    }

    /// Reads a text of several lines, such as PEM, unchanged.
    pub fn lines_from_file(path: &Path) -> Result<Self, SecretError> {
        use std::io::Read as _;
        let unreadable = |source| SecretError::Unreadable { path: path.to_owned(), source };
        let mut bytes = Zeroizing::new(Vec::new());
        let file = std::fs::File::open(path).map_err(unreadable)?;
        file.take(SECRET_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        if bytes.len() as u64 > SECRET_BYTES_MAX {
            return Err(SecretError::TooLong { path: path.to_owned() });
        }
        if bytes.trim_ascii().is_empty() {
            return Err(SecretError::Empty { path: path.to_owned() });
        }
        match std::str::from_utf8(&bytes) {
            Ok(text) => Ok(Self::new(text.to_owned())),
            Err(_) => Err(SecretError::NotText { path: path.to_owned() }),
        }
    }

    /// Returns the `Authorization` value for the upstream: Basic, with the key as user name and no
    /// password. It is marked sensitive, so that no log prints it and HTTP/2 does not index it.
    pub fn basic_authorization(&self) -> HeaderValue {
        let pair = Zeroizing::new(format!("{}:", self.expose()));
        let field = Zeroizing::new(format!("Basic {}", BASE64_STANDARD.encode(pair.as_bytes())));
        let mut value = HeaderValue::from_str(&field).expect("base64 is visible ASCII");
        value.set_sensitive(true);
        value
    }

    /// Returns the text itself. The code that calls this is responsible for where it goes.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// Returns whether a text is one or more visible ASCII characters without blanks, as a field value
/// may hold.
pub fn is_one_word(text: &str) -> bool {
    // No early exit: the compiler then checks many bytes at once.
    !text.is_empty() && text.bytes().fold(true, |all, byte| all & byte.is_ascii_graphic())
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Source of the private key.
#[derive(Clone, Debug)]
pub enum KeySource {
    /// Environment variable, read once.
    Fixed,
    /// File, read again when its content changes.
    File(PathBuf),
}

/// ImageKit's private key, which may change while the gateway runs.
#[derive(Debug)]
pub struct PrivateKey {
    current: ArcSwap<Secret>,
    source: KeySource,
    /// Modification time of the file when the key in use was read; `None` if unknown.
    written: ArcSwap<Option<SystemTime>>,
    /// Error of the last read of the file. `None`: it held a usable key.
    problem: ArcSwapOption<SecretError>,
    /// Held during a read of the file, so that a slow reader does not put an older result in force.
    reading: Mutex<()>,
}

/// Beginning of every private key of ImageKit.
pub const PRIVATE_KEY_PREFIX: &str = "private_";

/// Returns whether a text is ImageKit's public key. The dashboard shows it beside the private key,
/// so operators confuse the two.
pub fn is_public_key(text: &str) -> bool {
    text.starts_with("public_")
}

/// Returns whether a text holds a colon, which ends the user name of Basic (RFC 7617 section 2).
/// ImageKit would read only the part before it as the key.
pub fn has_colon(text: &str) -> bool {
    text.contains(':')
}

fn private_key_from_file(path: &Path) -> Result<Secret, SecretError> {
    let key = Secret::from_file(path)?;
    if is_public_key(key.expose()) {
        return Err(SecretError::PublicKey { path: path.to_owned() });
    }
    if has_colon(key.expose()) {
        return Err(SecretError::Colon { path: path.to_owned() });
    }
    Ok(key)
}

fn written(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
}

impl PrivateKey {
    pub fn fixed(key: Secret) -> Self {
        let (current, written) = (ArcSwap::from_pointee(key), ArcSwap::default());
        Self {
            current,
            source: KeySource::Fixed,
            written,
            problem: ArcSwapOption::empty(),
            reading: Mutex::default(),
        }
    }

    pub fn from_file(path: &Path) -> Result<Self, SecretError> {
        let key = private_key_from_file(path)?;
        Ok(Self {
            current: ArcSwap::from_pointee(key),
            source: KeySource::File(path.to_owned()),
            written: ArcSwap::from_pointee(written(path)),
            problem: ArcSwapOption::empty(),
            reading: Mutex::default(),
        })
    }

    /// Reads the file again. On an error the last good key stays in use.
    ///
    /// It compares the content: Kubernetes swaps symbolic links, so names and times are not
    /// reliable.
    pub fn refresh(&self) -> Result<(), Arc<SecretError>> {
        let KeySource::File(path) = &self.source else { return Ok(()) };
        let _reading = self.reading.lock();
        let read = private_key_from_file(path).map_err(Arc::new);
        self.problem.store(read.as_ref().err().cloned());
        let key = read?;
        if *self.current.load_full() != key {
            self.current.store(Arc::new(key));
            self.written.store(Arc::new(written(path)));
        }
        Ok(())
    }

    /// Returns the modification time of the file when the key in use was read; `None` if unknown.
    pub fn written(&self) -> Option<SystemTime> {
        **self.written.load()
    }

    /// Returns the error of the last read of the file, if that read found no usable key.
    pub fn problem(&self) -> Option<Arc<SecretError>> {
        self.problem.load_full()
    }

    /// Returns the key in use. A different key is a different `Arc`.
    pub fn current(&self) -> Arc<Secret> {
        self.current.load_full()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(content: &[u8]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        file
    }

    #[test]
    fn a_trailing_equals_sign_belongs_to_the_key_and_the_newline_does_not() {
        let secret = Secret::from_file(file(b"private_abc=\n").path()).unwrap();
        assert_eq!(secret.expose(), "private_abc=");
    }

    #[test]
    fn files_that_hold_no_usable_secret_are_refused() {
        let read = |content: &[u8]| Secret::from_file(file(content).path()).unwrap_err();
        assert!(matches!(read(b" \n"), SecretError::Empty { .. }));
        assert!(matches!(read(b"a\nb"), SecretError::NotText { .. }));
        assert!(matches!(read(b"\xff\xfe"), SecretError::NotText { .. }));
        assert!(matches!(read(&vec![b'a'; 65_537]), SecretError::TooLong { .. }));
        let missing = Secret::from_file(Path::new("/nonexistent")).unwrap_err();
        assert!(matches!(missing, SecretError::Unreadable { .. }));
    }

    #[test]
    fn the_public_key_does_not_take_the_place_of_the_private_one() {
        let key = file(b"private_abc=");
        let private = PrivateKey::from_file(key.path()).unwrap();
        std::fs::write(key.path(), b"public_abc=").unwrap();
        assert!(matches!(*private.refresh().unwrap_err(), SecretError::PublicKey { .. }));
        assert_eq!(private.current().expose(), "private_abc=");
        let public = PrivateKey::from_file(key.path());
        assert!(matches!(public, Err(SecretError::PublicKey { .. })));
    }

    #[test]
    fn a_key_with_a_colon_is_refused_and_does_not_take_the_place_of_a_good_one() {
        let key = file(b"private_abc=");
        let private = PrivateKey::from_file(key.path()).unwrap();
        std::fs::write(key.path(), b"private_abc:def=").unwrap();
        assert!(matches!(*private.refresh().unwrap_err(), SecretError::Colon { .. }));
        assert_eq!(private.current().expose(), "private_abc=");
        assert!(matches!(PrivateKey::from_file(key.path()), Err(SecretError::Colon { .. })));
    }

    #[test]
    fn nothing_that_holds_the_key_prints_it() {
        let key = PrivateKey::fixed(Secret::new("private_canary".into()));
        let header = key.current().basic_authorization();
        let printed = format!("{key:?} {header:?}");
        assert!(!printed.contains("canary"), "{printed}");
        assert!(!printed.contains(&BASE64_STANDARD.encode("private_canary:")), "{printed}");
    }

    #[test]
    fn a_changed_file_is_taken_and_an_unreadable_one_keeps_the_last_key() {
        let file = file(b"one");
        let key = PrivateKey::from_file(file.path()).unwrap();
        let first = key.current();
        key.refresh().unwrap();
        assert!(Arc::ptr_eq(&first, &key.current()), "the same key is the same Arc");
        std::fs::write(file.path(), "two").unwrap();
        key.refresh().unwrap();
        assert!(!Arc::ptr_eq(&first, &key.current()));
        std::fs::write(file.path(), "").unwrap();
        assert!(key.problem().is_none());
        assert!(key.refresh().is_err());
        assert!(matches!(*key.problem().unwrap(), SecretError::Empty { .. }));
        let expected = format!("Basic {}", BASE64_STANDARD.encode("two:"));
        assert_eq!(key.current().basic_authorization().to_str().unwrap(), expected);
    }
}
