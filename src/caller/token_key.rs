//! Key that verifies the signatures of tokens, with the one algorithm that it is for.

use std::ops::RangeInclusive;
use std::path::Path;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
    RsaPublicKeyComponents,
};
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm};
use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind};

use crate::secret::{Secret, SecretError};

/// Shortest secret for HS256, in bytes: the length of its output (RFC 7518 section 3.2).
const HMAC_SECRET_MIN: usize = 32;
/// Lengths of accepted RSA keys in DER, in bytes: 2048 to 8192 bits (RFC 7518 section 3.3).
const RSA_KEY_BYTES: RangeInclusive<usize> = 268..=1050;
/// Lengths of accepted RSA moduli, in bits.
const RSA_MODULUS_BITS: RangeInclusive<usize> = 2048..=8192;

/// Signature algorithm of tokens (RFC 7518 section 3.1, RFC 8037).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TokenAlgorithm {
    EdDsa,
    Es256,
    Hs256,
    Rs256,
}

/// Key that verifies signatures: a secret for HS256, a public key for the others. It is never used
/// with another algorithm than its own, even if a token's header names one (RFC 8725 section 3.1).
#[derive(Clone, Debug)]
pub struct TokenKey {
    algorithm: TokenAlgorithm,
    key: DecodingKey,
}

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
    #[error(
        "holds a private key: the gateway needs the public one (openssl pkey -in FILE -pubout), and \
         the signer keeps the private one"
    )]
    PrivateKey,
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
            let first = begins.lines().next().unwrap_or_default();
            let is_private = first.starts_with("-----BEGIN") && first.contains("PRIVATE KEY");
            return Err(if is_private { InvalidTokenKey::PrivateKey } else { unusable() });
        }
        let pem = begins.as_bytes();
        let key = match algorithm {
            TokenAlgorithm::EdDsa => DecodingKey::from_ed_pem(pem),
            TokenAlgorithm::Es256 => DecodingKey::from_ec_pem(pem),
            TokenAlgorithm::Hs256 | TokenAlgorithm::Rs256 => DecodingKey::from_rsa_pem(pem),
        };
        let key = Self { algorithm, key: key.map_err(|_| unusable())? };
        if key.is_valid() { Ok(key) } else { Err(unusable()) }
    }

    /// Returns the key of a JSON Web Key (RFC 7517); `None` if it is none of a known algorithm.
    ///
    /// A secret (`oct`) is never taken: a key set is published, and a secret must not be.
    pub(super) fn from_jwk(jwk: &Jwk) -> Option<Self> {
        let (algorithm, registered) = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => (TokenAlgorithm::Rs256, KeyAlgorithm::RS256),
            AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => {
                (TokenAlgorithm::Es256, KeyAlgorithm::ES256)
            }
            AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
                (TokenAlgorithm::EdDsa, KeyAlgorithm::EdDSA)
            }
            _ => return None,
        };
        if jwk.common.key_algorithm.is_some_and(|named| named != registered) {
            return None;
        }
        let key = Self { algorithm, key: DecodingKey::from_jwk(jwk).ok()? };
        key.is_valid().then_some(key)
    }

    /// Parses a public key now. An invalid one would otherwise refuse every token later.
    fn is_valid(&self) -> bool {
        let parameters = &RSA_PKCS1_2048_8192_SHA256;
        match (self.algorithm, self.key.kind()) {
            (TokenAlgorithm::Hs256, _) => true,
            (TokenAlgorithm::Rs256, DecodingKeyKind::RsaModulusExponent { n, e }) => {
                let key = RsaPublicKeyComponents { n, e };
                RSA_MODULUS_BITS.contains(&bits(n)) && key.to_parsed_public_key(parameters).is_ok()
            }
            (TokenAlgorithm::Rs256, DecodingKeyKind::SecretOrDer(der)) => {
                RSA_KEY_BYTES.contains(&der.len()) && ParsedPublicKey::new(parameters, der).is_ok()
            }
            (TokenAlgorithm::EdDsa, _) => ParsedPublicKey::new(&ED25519, self.bytes()).is_ok(),
            (TokenAlgorithm::Es256, _) => {
                ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, self.bytes()).is_ok()
            }
        }
    }

    /// Returns the algorithm that the key is for.
    pub fn algorithm(&self) -> TokenAlgorithm {
        self.algorithm
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
        Ok(Self { algorithm: TokenAlgorithm::Hs256, key: DecodingKey::from_secret(bytes) })
    }

    /// Returns the secret of HS256, or the public key as it is in its PEM. Empty for an RSA key
    /// of a key set.
    pub(super) fn bytes(&self) -> &[u8] {
        self.key.try_get_as_bytes().unwrap_or_default()
    }

    pub(super) fn decoding(&self) -> &DecodingKey {
        &self.key
    }
}

/// Returns the length of a big-endian number without leading zero bytes, in bits.
fn bits(number: &[u8]) -> usize {
    let first = number.first().map_or(0, |first| first.leading_zeros() as usize);
    (number.len() * 8).saturating_sub(first)
}

impl PartialEq for TokenKey {
    fn eq(&self, other: &Self) -> bool {
        let same = match (self.key.kind(), other.key.kind()) {
            (DecodingKeyKind::SecretOrDer(own), DecodingKeyKind::SecretOrDer(other)) => {
                own == other
            }
            (
                DecodingKeyKind::RsaModulusExponent { n, e },
                DecodingKeyKind::RsaModulusExponent { n: other_n, e: other_e },
            ) => (n, e) == (other_n, other_e),
            _ => false,
        };
        self.algorithm == other.algorithm && same
    }
}
