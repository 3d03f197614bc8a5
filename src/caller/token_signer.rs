//! Signer of tokens, as a team's own back end would sign them; for `ikgate token`.

use std::path::Path;
use std::time::Duration;

use jsonwebtoken::{EncodingKey, Header};

use super::claims::Claims;
use super::failure::AuthFailure;
use super::key::KeyDigest;
use super::token::{TokenSettings, Tokens};
use super::token_key::TokenAlgorithm;
use crate::secret::{Secret, SecretError};

/// Signer of tokens that the gateway with the same settings accepts.
pub struct TokenSigner {
    key: EncodingKey,
    tokens: Tokens,
}

/// Reason why no token was signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    #[error(transparent)]
    File(#[from] SecretError),
    #[error("HS256 signs with the secret in jwt.key_file: leave --key out")]
    KeyNotNeeded,
    #[error("{0} signs with the private key that belongs to jwt.key_file: name it with --key")]
    KeyNeeded(&'static str),
    #[error("the key is not a private key of {0} in PEM, PKCS#8 (openssl pkcs8 -topk8 -nocrypt)")]
    NoPrivateKey(&'static str),
    /// The gateway would refuse the token. Most likely the two keys are not a pair.
    #[error("the gateway would refuse the token")]
    Refused(#[source] AuthFailure),
}

impl TokenSigner {
    /// Returns a signer. `private_key`: file in PEM; not for HS256.
    ///
    /// # Errors
    ///
    /// [`SignError`] if the file holds no key of the configured algorithm.
    pub fn new(settings: &TokenSettings, private_key: Option<&Path>) -> Result<Self, SignError> {
        let algorithm = settings.algorithm;
        let key = match (algorithm, private_key) {
            (TokenAlgorithm::Hs256, Some(_)) => return Err(SignError::KeyNotNeeded),
            (TokenAlgorithm::Hs256, None) => EncodingKey::from_secret(settings.key.bytes()),
            (_, None) => return Err(SignError::KeyNeeded(algorithm.as_str())),
            (_, Some(path)) => {
                let pem = Secret::lines_from_file(path)?;
                let pem = pem.expose().as_bytes();
                let key = match algorithm {
                    TokenAlgorithm::EdDsa => EncodingKey::from_ed_pem(pem),
                    TokenAlgorithm::Es256 => EncodingKey::from_ec_pem(pem),
                    TokenAlgorithm::Hs256 | TokenAlgorithm::Rs256 => EncodingKey::from_rsa_pem(pem),
                };
                key.map_err(|_| SignError::NoPrivateKey(algorithm.as_str()))?
            }
        };
        Ok(Self { key, tokens: Tokens::new(settings.clone()) })
    }

    /// Signs a token and verifies it as the gateway would. `wall`: Unix time.
    ///
    /// # Errors
    ///
    /// [`SignError`] if the key cannot sign, or if the gateway would refuse the token.
    pub fn sign(&self, claims: &Claims, wall: Duration) -> Result<Secret, SignError> {
        let algorithm = self.tokens.settings.algorithm;
        let token = jsonwebtoken::encode(&Header::new(algorithm.registered()), claims, &self.key);
        let token = token.map_err(|_| SignError::NoPrivateKey(algorithm.as_str()))?;
        let token = Secret::new(token);
        let digest = KeyDigest::of(token.expose());
        let verified = self.tokens.verify(token.expose(), digest, wall);
        verified.map_err(SignError::Refused)?;
        Ok(token)
    }
}
