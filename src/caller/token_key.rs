//! Key that verifies the signatures of tokens, and its algorithm.

use std::ops::RangeInclusive;
use std::path::Path;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
};
use jsonwebtoken::{Algorithm, DecodingKey};

use crate::secret::{Secret, SecretError};

/// Shortest secret for HS256, in bytes: the length of its output (RFC 7518 section 3.2).
const HMAC_SECRET_MIN: usize = 32;
/// Lengths of accepted RSA keys in DER, in bytes: 2048 to 8192 bits (RFC 7518 section 3.3).
const RSA_KEY_BYTES: RangeInclusive<usize> = 268..=1050;

/// Signature algorithm of tokens (RFC 7518 section 3.1, RFC 8037).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TokenAlgorithm {
    EdDsa,
    Es256,
    Hs256,
    Rs256,
}

/// Key that verifies signatures: a secret for HS256, a public key for the others.
#[derive(Clone, Debug)]
pub struct TokenKey(DecodingKey);

/// Reason why a file holds no usable key.
#[derive(Debug, thiserror::Error)]
pub enum InvalidTokenKey {
    #[error(transparent)]
    File(#[from] SecretError),
    #[error("holds PEM: HS256 needs a shared secret, never a public key")]
    NoSecret,
    #[error("must hold at least {HMAC_SECRET_MIN} bytes for HS256")]
    ShortSecret,
    #[error(
        "must be a public key in PEM (-----BEGIN PUBLIC KEY-----) for {0} (RSA: at least 2048 bits)"
    )]
    NoPublicKey(&'static str),
}

impl TokenAlgorithm {
    /// All algorithms.
    pub const ALL: [Self; 4] = [Self::EdDsa, Self::Es256, Self::Hs256, Self::Rs256];

    /// Returns the name in `alg`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::EdDsa => "EdDSA",
            Self::Es256 => "ES256",
            Self::Hs256 => "HS256",
            Self::Rs256 => "RS256",
        }
    }

    pub(super) fn registered(self) -> Algorithm {
        match self {
            Self::EdDsa => Algorithm::EdDSA,
            Self::Es256 => Algorithm::ES256,
            Self::Hs256 => Algorithm::HS256,
            Self::Rs256 => Algorithm::RS256,
        }
    }
}

impl TokenKey {
    /// Reads a key from a file.
    ///
    /// # Errors
    ///
    /// [`InvalidTokenKey`] if the file holds no key of this algorithm.
    pub fn from_file(algorithm: TokenAlgorithm, path: &Path) -> Result<Self, InvalidTokenKey> {
        let pem = Secret::lines_from_file(path)?;
        if algorithm == TokenAlgorithm::Hs256 {
            if pem.expose().contains("-----BEGIN") {
                return Err(InvalidTokenKey::NoSecret);
            }
            return Self::shared(&Secret::from_file(path)?);
        }
        let unusable = || InvalidTokenKey::NoPublicKey(algorithm.as_str());
        // Only the first block counts: an operator who puts a private key here by mistake should
        // hear of it.
        let begins = pem.expose().trim_start();
        let tags = ["-----BEGIN PUBLIC KEY-----", "-----BEGIN RSA PUBLIC KEY-----"];
        if !tags.iter().any(|tag| begins.starts_with(tag)) {
            return Err(unusable());
        }
        let pem = begins.as_bytes();
        let key = match algorithm {
            TokenAlgorithm::EdDsa => DecodingKey::from_ed_pem(pem),
            TokenAlgorithm::Es256 => DecodingKey::from_ec_pem(pem),
            TokenAlgorithm::Hs256 | TokenAlgorithm::Rs256 => DecodingKey::from_rsa_pem(pem),
        };
        let key = Self(key.map_err(|_| unusable())?);
        // Parses the key now. A key of another algorithm would otherwise refuse every token later.
        let parsed = match algorithm {
            TokenAlgorithm::EdDsa => ParsedPublicKey::new(&ED25519, key.bytes()),
            TokenAlgorithm::Es256 => ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key.bytes()),
            TokenAlgorithm::Hs256 | TokenAlgorithm::Rs256 => {
                ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.bytes())
            }
        };
        let fits = algorithm != TokenAlgorithm::Rs256 || RSA_KEY_BYTES.contains(&key.bytes().len());
        if fits && parsed.is_ok() { Ok(key) } else { Err(unusable()) }
    }

    /// Returns an HS256 key.
    ///
    /// # Errors
    ///
    /// [`InvalidTokenKey::ShortSecret`] if the secret is too short.
    pub fn shared(secret: &Secret) -> Result<Self, InvalidTokenKey> {
        let bytes = secret.expose().as_bytes();
        if bytes.len() < HMAC_SECRET_MIN {
            return Err(InvalidTokenKey::ShortSecret);
        }
        Ok(Self(DecodingKey::from_secret(bytes)))
    }

    /// Returns the secret of HS256, or the public key as it is in its PEM.
    pub(super) fn bytes(&self) -> &[u8] {
        self.0.try_get_as_bytes().unwrap_or_default()
    }

    pub(super) fn decoding(&self) -> &DecodingKey {
        &self.0
    }
}

impl PartialEq for TokenKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.family() == other.0.family() && self.bytes() == other.bytes()
    }
}
