//! Revoked tokens and subjects, read from a file that may change while the gateway runs.
//!
//! Each line of the file holds one `jti`, or `sub:` and one subject. Empty lines and lines that
//! begin with `#` are comments.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ahash::RandomState;
use arc_swap::ArcSwap;
use parking_lot::Mutex;

use super::subject::{Subject, TokenId};

/// Largest accepted file, in bytes. It holds about 28,000 ids of 36 characters. The line of an id
/// may be removed after 61 minutes: a token works for an hour, and the clocks may differ by 30 s
/// each way.
const BYTES_MAX: usize = 1024 * 1024;

/// Revoked tokens, read again when the file's content changes.
#[derive(Debug)]
pub struct RevokedTokens {
    path: PathBuf,
    /// Entries of the last two reads: a program may have been writing the file during one of them.
    in_force: ArcSwap<RevokedList>,
    /// Entries of the last read.
    read: Mutex<Arc<RevokedList>>,
}

/// Content of the file.
#[derive(Clone, Debug, Default, PartialEq)]
struct RevokedList {
    ids: HashSet<TokenId, RandomState>,
    subjects: HashSet<Subject, RandomState>,
}

/// Reason why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InvalidRevokedFile {
    #[error("cannot read {path}", path = .path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{path} has more than {BYTES_MAX} bytes", path = .path.display())]
    TooLong { path: PathBuf },
    #[error("{path} is not UTF-8 text", path = .path.display())]
    NotText { path: PathBuf },
}

impl RevokedTokens {
    /// Reads the file for the first time.
    ///
    /// # Errors
    ///
    /// [`InvalidRevokedFile`] if the file cannot be used.
    pub fn from_file(path: &Path) -> Result<Self, InvalidRevokedFile> {
        let list = Arc::new(read(path)?);
        let in_force = ArcSwap::new(Arc::clone(&list));
        Ok(Self { path: path.to_owned(), in_force, read: Mutex::new(list) })
    }

    /// Reads the file again, and returns whether the list in force has changed. On an error the
    /// last good list stays in force. An entry is added at once, and dropped at the second read
    /// without it.
    ///
    /// # Errors
    ///
    /// [`InvalidRevokedFile`] if the file cannot be used.
    pub fn refresh(&self) -> Result<bool, InvalidRevokedFile> {
        let list = Arc::new(read(&self.path)?);
        let before = std::mem::replace(&mut *self.read.lock(), Arc::clone(&list));
        let in_force = if list.contains_all_of(&before) { list } else { list.with(&before) };
        if **self.in_force.load() == *in_force {
            return Ok(false);
        }
        self.in_force.store(in_force);
        Ok(true)
    }

    /// Returns whether a token with this subject and id is revoked.
    pub(super) fn contains(&self, subject: &Subject, id: Option<&TokenId>) -> bool {
        let list = self.in_force.load();
        list.subjects.contains(subject) || id.is_some_and(|id| list.ids.contains(id))
    }
}

/// Two lists are equal if they are read from the same path. The content does not count, since it
/// may change at any time.
impl PartialEq for RevokedTokens {
    fn eq(&self, other: &Self) -> bool {
        self.path == other.path
    }
}

fn read(path: &Path) -> Result<RevokedList, InvalidRevokedFile> {
    let unreadable = |source| InvalidRevokedFile::Unreadable { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(BYTES_MAX as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() > BYTES_MAX {
        return Err(InvalidRevokedFile::TooLong { path: path.to_owned() });
    }
    let text = std::str::from_utf8(&bytes).ok().filter(|text| !text.contains('\0'));
    let text = text.ok_or_else(|| InvalidRevokedFile::NotText { path: path.to_owned() })?;
    Ok(RevokedList::parse(text))
}

impl RevokedList {
    fn contains_all_of(&self, other: &Self) -> bool {
        self.ids.is_superset(&other.ids) && self.subjects.is_superset(&other.subjects)
    }

    /// Returns the entries of both lists.
    fn with(&self, other: &Self) -> Arc<Self> {
        let mut both = self.clone();
        both.ids.extend(&other.ids);
        both.subjects.extend(&other.subjects);
        Arc::new(both)
    }

    fn parse(text: &str) -> Self {
        let mut list = Self::default();
        // Some editors begin a file with a byte order mark.
        for line in text.trim_start_matches('\u{feff}').lines().map(str::trim) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            match line.strip_prefix("sub:") {
                Some(subject) => _ = list.subjects.insert(Subject::of(subject.trim())),
                None => _ = list.ids.insert(TokenId::of(line)),
            }
        }
        list
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

    fn revokes(tokens: &RevokedTokens, sub: &str, jti: Option<&str>) -> bool {
        tokens.contains(&Subject::of(sub), jti.map(TokenId::of).as_ref())
    }

    #[test]
    fn a_line_revokes_one_token_or_every_token_of_a_subject() {
        let file =
            file(b"\xef\xbb\xbf# since Monday\r\n\r\n  id-1  \r\nsub:user-1\nsub: user 2\n#id-2\n");
        let tokens = RevokedTokens::from_file(file.path()).unwrap();
        for (sub, jti, expected) in [
            ("a", Some("id-1"), true),
            ("a", Some("id-2"), false),
            ("a", None, false),
            ("user-1", None, true),
            ("user-1", Some("other"), true),
            ("user 2", None, true),
            ("id-1", None, false),
            ("a", Some("user-1"), false),
        ] {
            assert_eq!(revokes(&tokens, sub, jti), expected, "{sub} {jti:?}");
        }
    }

    #[test]
    fn a_file_that_becomes_unusable_keeps_the_last_list() {
        let file = file(b"id-1\n");
        let tokens = RevokedTokens::from_file(file.path()).unwrap();
        assert!(!tokens.refresh().unwrap());
        for bad in [&b"\xff\xfei\0d\0"[..], b"i\0d\0", &vec![b'a'; BYTES_MAX + 1]] {
            std::fs::write(file.path(), bad).unwrap();
            assert!(tokens.refresh().is_err() && RevokedTokens::from_file(file.path()).is_err());
            assert!(revokes(&tokens, "a", Some("id-1")));
        }
        std::fs::write(file.path(), "id-2\n").unwrap();
        assert!(tokens.refresh().unwrap() && tokens.refresh().unwrap());
        assert!(!revokes(&tokens, "a", Some("id-1")) && revokes(&tokens, "a", Some("id-2")));
        std::fs::write(file.path(), vec![b'\n'; BYTES_MAX]).unwrap();
        assert!(!tokens.refresh().unwrap() && tokens.refresh().unwrap());
        drop(std::fs::remove_file(file.path()));
        assert!(tokens.refresh().is_err());
    }
    #[test]
    fn a_file_that_is_read_while_it_is_written_revokes_what_it_did() {
        let file = file(b"id-1\nsub:user-1\n");
        let tokens = RevokedTokens::from_file(file.path()).unwrap();
        for (content, first, second) in [
            // A program empties the file before it writes the new lines.
            ("", true, false),
            ("id-1\nid-2\n", true, true),
            ("id-2\n", true, true),
            ("id-2\n", false, true),
            ("", false, true),
            ("", false, false),
        ] {
            std::fs::write(file.path(), content).unwrap();
            _ = tokens.refresh().unwrap();
            let revoked = ["id-1", "id-2"].map(|id| revokes(&tokens, "a", Some(id)));
            assert_eq!(revoked, [first, second], "{content:?}");
        }
        assert!(!revokes(&tokens, "user-1", None));
    }
}
