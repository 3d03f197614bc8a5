//! Caller keys: 256 random bits, of which only the SHA-256 is stored.
//!
//! A plain digest is enough at rest. A key of full entropy cannot be guessed from it; slow password
//! hashes are for secrets that can be guessed.

use std::fmt;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use sha2::{Digest as _, Sha256};

use crate::secret::Secret;

/// Prefix that marks the keys for people and for secret scanners.
pub const KEY_PREFIX: &str = "ikg_";

/// New key. This is the only time that it exists as text.
pub struct CallerKey(Secret);

impl CallerKey {
    /// Generates a key.
    ///
    /// # Errors
    ///
    /// An error if the system's random number generator fails.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut bits = [0_u8; 32];
        getrandom::fill(&mut bits)?;
        Ok(Self(Secret::new(format!("{KEY_PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(bits)))))
    }

    /// Returns the key itself.
    pub fn secret(&self) -> &Secret {
        &self.0
    }

    /// Returns the digest of the key.
    pub fn digest(&self) -> KeyDigest {
        KeyDigest::of(self.0.expose())
    }
}

/// SHA-256 of a credential.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct KeyDigest([u8; 32]);

/// Error for a text that is not 64 hex digits.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("must be the SHA-256 of a key as 64 hex digits (`ikgate keygen` prints one)")]
pub struct InvalidKeyDigest;

impl KeyDigest {
    /// Returns the digest of `key`.
    pub fn of(key: &str) -> Self {
        Self(Sha256::digest(key.as_bytes()).into())
    }

    /// Parses 64 hex digits.
    pub fn parse(hex: &str) -> Result<Self, InvalidKeyDigest> {
        if hex.len() != 64 || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(InvalidKeyDigest);
        }
        let mut digest = [0_u8; 32];
        for (byte, pair) in digest.iter_mut().zip(hex.as_bytes().chunks(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| InvalidKeyDigest)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| InvalidKeyDigest)?;
        }
        Ok(Self(digest))
    }

    pub(super) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Returns the first 64 bits, which the table of callers is indexed by.
    pub(super) fn prefix(&self) -> u64 {
        let (prefix, _) = self.0.split_first_chunk().expect("a digest has 32 bytes");
        u64::from_be_bytes(*prefix)
    }
}

impl fmt::Display for KeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_survives_being_printed_and_is_what_sha256sum_says() {
        // printf 'ikg_example' | sha256sum
        let hex = "a38420e15b1527b5bfc872af6e4c6dd68f610bb579096d0b0370ad5850514ac6";
        let digest = KeyDigest::of("ikg_example");
        assert_eq!(KeyDigest::parse(&digest.to_string()), Ok(digest));
        assert_eq!(digest.to_string(), hex);
        for bad in ["", "00", &"0".repeat(63), &"g".repeat(64), &"é".repeat(32)] {
            assert_eq!(KeyDigest::parse(bad), Err(InvalidKeyDigest), "{bad}");
        }
    }

    #[test]
    fn two_keys_are_never_the_same() {
        let (a, b) = (CallerKey::generate().unwrap(), CallerKey::generate().unwrap());
        assert_ne!(a.digest(), b.digest());
        assert_eq!(a.secret().expose().len(), 4 + 43);
    }
}
