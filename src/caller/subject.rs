//! Short digests of a token's `sub` and `jti`.

use std::fmt;

use sha2::{Digest as _, Sha256};

/// Subject of a token, as quotas tell subjects apart: 128 bits of a digest, so that each takes the
/// same memory.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Subject([u8; 16]);

/// Id of a token (`jti`), as 128 bits of a digest.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) struct TokenId([u8; 16]);

impl Subject {
    pub(super) fn of(sub: &str) -> Self {
        Self(digest(sub))
    }
}

impl TokenId {
    pub(super) fn of(jti: &str) -> Self {
        Self(digest(jti))
    }
}

fn digest(text: &str) -> [u8; 16] {
    let digest: [u8; 32] = Sha256::digest(text.as_bytes()).into();
    let (first, _) = digest.split_first_chunk().expect("a digest has 32 bytes");
    *first
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}
