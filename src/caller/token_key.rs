//! What checks tokens' signatures: an algorithm, and a key that is of it.

use std::ops::RangeInclusive;
use std::path::Path;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
};
use jsonwebtoken::{Algorithm, DecodingKey};

use crate::secret::{Secret, SecretError};

/// Shortest secret for HS256: as long as what it makes (RFC 7518 section 3.2).
const HMAC_SECRET_MIN: usize = 32;
/// Of RSA keys from 2048 to 8192 bits in DER, which is what is verified (RFC 7518 section 3.3).
const RSA_KEY_BYTES: RangeInclusive<usize> = 268..=1050;

/// How tokens are signed (RFC 7518 section 3.1, RFC 8037).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TokenAlgorithm {
    EdDsa,
    Es256,
    Hs256,
    Rs256,
}

/// What checks signatures: a secret for HS256, else a public key.
#[derive(Clone, Debug)]
pub struct TokenKey(DecodingKey);

/// Why a file holds no key that could be used.
#[derive(Debug, thiserror::Error)]
pub enum InvalidTokenKey {
    #[error(transparent)]
    File(#[from] SecretError),
    #[error("holds PEM: HS256 needs a secret that nobody else has, never a public key")]
    NoSecret,
    #[error("must hold at least {HMAC_SECRET_MIN} bytes for HS256")]
    ShortSecret,
    #[error(
        "must be a public key in PEM (-----BEGIN PUBLIC KEY-----) that is of {0} (RSA: of at least 2048 bits)"
    )]
    NoPublicKey(&'static str),
}

impl TokenAlgorithm {
    pub const ALL: [Self; 4] = [Self::EdDsa, Self::Es256, Self::Hs256, Self::Rs256];

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
    /// # Errors
    ///
    /// A file that holds no key of this algorithm.
    pub fn from_file(algorithm: TokenAlgorithm, path: &Path) -> Result<Self, InvalidTokenKey> {
        let pem = Secret::lines_from_file(path)?;
        if algorithm == TokenAlgorithm::Hs256 {
            if pem.expose().contains("-----BEGIN") {
                return Err(InvalidTokenKey::NoSecret);
            }
            return Self::shared(&Secret::from_file(path)?);
        }
        let unusable = || InvalidTokenKey::NoPublicKey(algorithm.as_str());
        // The first block: whoever puts a private key here by mistake should hear of it.
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
        // What only looks like a key of the algorithm would refuse every token later.
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

    /// The key of HS256.
    ///
    /// # Errors
    ///
    /// A secret that is too short.
    pub fn shared(secret: &Secret) -> Result<Self, InvalidTokenKey> {
        let bytes = secret.expose().as_bytes();
        if bytes.len() < HMAC_SECRET_MIN {
            return Err(InvalidTokenKey::ShortSecret);
        }
        Ok(Self(DecodingKey::from_secret(bytes)))
    }

    /// The secret of HS256, or the public key as it is in its PEM.
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
