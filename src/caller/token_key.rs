//! What checks tokens' signatures: an algorithm, and a key that is of it.

use std::path::Path;

use jsonwebtoken::{Algorithm, DecodingKey};

use crate::secret::{Secret, SecretError};

/// Shortest secret for HS256: as long as what it makes (RFC 7518 section 3.2).
const HMAC_SECRET_MIN: usize = 32;
/// Of an RSA key of 2048 bits in DER: shorter ones are not taken (RFC 7518 section 3.3).
const RSA_KEY_MIN: usize = 270;
/// Of a point of P-256.
const P256_KEY_BYTES: usize = 65;

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
        // Whoever puts a private key here by mistake should hear of it.
        if !pem.expose().contains("PUBLIC KEY-----") {
            return Err(unusable());
        }
        let pem = pem.expose().as_bytes();
        let key = match algorithm {
            TokenAlgorithm::EdDsa => DecodingKey::from_ed_pem(pem),
            TokenAlgorithm::Es256 => DecodingKey::from_ec_pem(pem),
            TokenAlgorithm::Hs256 | TokenAlgorithm::Rs256 => DecodingKey::from_rsa_pem(pem),
        };
        let key = key.map_err(|_| unusable())?;
        let key = Self(key);
        let length = key.bytes().len();
        let fits = match algorithm {
            TokenAlgorithm::Es256 => length == P256_KEY_BYTES,
            TokenAlgorithm::Rs256 => length >= RSA_KEY_MIN,
            TokenAlgorithm::EdDsa | TokenAlgorithm::Hs256 => true,
        };
        if fits { Ok(key) } else { Err(unusable()) }
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
