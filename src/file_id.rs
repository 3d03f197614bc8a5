//! Validated ids of files and their versions. An upstream path is only built from such an id.
//!
//! ImageKit documents no format for ids. Its own look like 24 hex digits, and its documentation
//! shows others. The gateway accepts what stands in a path segment without any encoding. So an id
//! cannot leave its segment and has one spelling: the cache key, the upstream path and the caller's
//! path hold the same bytes.

use std::fmt;
use std::hash::{Hash, Hasher};

/// Longest id accepted, in bytes.
pub const FILE_ID_MAX: usize = 64;

#[expect(clippy::indexing_slicing, reason = "a constant: it is evaluated when it is compiled")]
/// Bytes that an id may hold. A table, because every request is checked against it.
const ALLOWED: [bool; 256] = {
    let mut allowed = [false; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        allowed[byte as usize] = byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        byte += 1;
    }
    allowed
};

/// Id of a file: `[A-Za-z0-9_-]{1,64}`. Stored inline, so that a lookup allocates nothing.
#[derive(Clone, Copy)]
pub struct FileId {
    // Bytes past `len` are zero.
    bytes: [u8; FILE_ID_MAX],
    len: u8,
}

/// Error of a text that is not `[A-Za-z0-9_-]{1,64}`.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("an id is 1 to {FILE_ID_MAX} of A-Z a-z 0-9 _ -")]
pub struct InvalidId;

impl FileId {
    /// Parses the id as it stands in a raw path segment. Nothing is decoded.
    pub fn parse(raw: &str) -> Result<Self, InvalidId> {
        if !is_id(raw) {
            return Err(InvalidId);
        }
        let mut bytes = [0; FILE_ID_MAX];
        bytes.get_mut(..raw.len()).ok_or(InvalidId)?.copy_from_slice(raw.as_bytes());
        let len = u8::try_from(raw.len()).map_err(|_| InvalidId)?;
        Ok(Self { bytes, len })
    }

    pub fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).expect("parse() lets only ASCII in")
    }

    /// Returns the id as bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }

    /// Returns the path of the file's version list at the upstream.
    pub fn versions_path(&self) -> String {
        format!("/v1/files/{self}/versions")
    }
}

impl PartialEq for FileId {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for FileId {}

impl Hash for FileId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

impl fmt::Display for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// Id of one version of a file, under the same rules as [`FileId`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct VersionId(FileId);

impl VersionId {
    /// Parses the id as it stands in a raw path segment. Nothing is decoded.
    pub fn parse(raw: &str) -> Result<Self, InvalidId> {
        FileId::parse(raw).map(Self)
    }

    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

fn is_id(raw: &str) -> bool {
    let allowed = |byte: u8| ALLOWED.get(usize::from(byte)).is_some_and(|allowed| *allowed);
    (1..=FILE_ID_MAX).contains(&raw.len()) && raw.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_longest_id_is_64_bytes() {
        assert_eq!(FileId::parse(&"a".repeat(64)).unwrap().as_str(), "a".repeat(64));
        assert_eq!(FileId::parse(&"a".repeat(65)), Err(InvalidId));
        assert_eq!(FileId::parse(""), Err(InvalidId));
    }

    #[test]
    fn nothing_that_could_leave_a_path_segment_is_an_id() {
        for raw in
            [".", "..", "a/b", "a%2Fb", "a%41", "a?x", "a#x", "a;b", "a b", "ä", "a\0", "a:b"]
        {
            assert_eq!(FileId::parse(raw), Err(InvalidId), "{raw:?}");
        }
    }

    proptest! {
        #[test]
        fn an_id_is_what_was_sent_and_stands_alone_in_its_path(raw in ".{0,70}") {
            if let Ok(id) = FileId::parse(&raw) {
                prop_assert_eq!(id.as_str(), raw.as_str());
                prop_assert_eq!(id.versions_path().matches('/').count(), 4);
            }
        }
    }
}
