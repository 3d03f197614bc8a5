//! Signer of tokens, as a team's own back end would sign them; for `ikgate token`.

use std::path::Path;
use std::time::Duration;

use jsonwebtoken::{EncodingKey, Header};

use super::claims::Claims;
use super::failure::AuthFailure;
use super::key::KeyDigest;
use super::token::{TokenSettings, Tokens};
use super::token_key::{TokenAlgorithm, TokenKey};
use super::token_keys::TokenKeys;
use crate::secret::{Secret, SecretError};

/// Signer of tokens that the gateway with the same settings accepts.
pub struct TokenSigner {
    /// Signing keys to try, each with its algorithm and the `kid` that goes into the token.
    candidates: Vec<Candidate>,
    tokens: Tokens,
}

/// Key that may sign.
struct Candidate {
    kid: Option<String>,
    algorithm: TokenAlgorithm,
    key: EncodingKey,
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
    #[error("jwt.jwks_url: only the identity provider can sign tokens")]
    ProviderOnly,
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
        let pem = private_key.map(Secret::lines_from_file).transpose()?;
        let candidate = |kid: Option<&str>, key: &TokenKey| {
            let algorithm = key.algorithm();
            let key = encoding_key(key, pem.as_ref())?;
            Ok(Candidate { kid: kid.map(str::to_owned), algorithm, key })
        };
        let candidates: Result<Vec<_>, SignError> = match &settings.keys {
            TokenKeys::One(key) => Ok(vec![candidate(None, key)?]),
            TokenKeys::ByKid(set) => {
                set.keys().iter().map(|own| candidate(Some(&own.kid), &own.key)).collect()
            }
            TokenKeys::Provider(_) => Err(SignError::ProviderOnly),
        };
        Ok(Self { candidates: candidates?, tokens: Tokens::new(settings.clone(), None) })
    }

    /// Signs a token and verifies it as the gateway would. With several keys, the first key that
    /// makes an accepted token is used.
    ///
    /// # Errors
    ///
    /// [`SignError`] if the key cannot sign, or if the gateway would refuse the token.
    pub fn sign(&self, claims: &Claims, unix_time: Duration) -> Result<Secret, SignError> {
        let mut refused = SignError::Refused(AuthFailure::UnknownKid);
        for candidate in &self.candidates {
            match self.sign_with(candidate, claims, unix_time) {
                Ok(token) => return Ok(token),
                Err(error) => refused = error,
            }
        }
        Err(refused)
    }

    fn sign_with(
        &self,
        candidate: &Candidate,
        claims: &Claims,
        unix_time: Duration,
    ) -> Result<Secret, SignError> {
        let algorithm = candidate.algorithm;
        let mut header = Header::new(algorithm.registered());
        header.kid.clone_from(&candidate.kid);
        let token = jsonwebtoken::encode(&header, claims, &candidate.key);
        let token = token.map_err(|_| SignError::NoPrivateKey(algorithm.as_str()))?;
        let token = Secret::new(token);
        let digest = KeyDigest::of(token.expose());
        let verified = self.tokens.verify(token.expose(), digest, unix_time);
        verified.map_err(SignError::Refused)?;
        Ok(token)
    }
}

/// Returns the key that signs for `key`: the secret itself, or the private key in `pem`.
fn encoding_key(key: &TokenKey, pem: Option<&Secret>) -> Result<EncodingKey, SignError> {
    let algorithm = key.algorithm();
    let pem = match (algorithm, pem) {
        (TokenAlgorithm::Hs256, Some(_)) => return Err(SignError::KeyNotNeeded),
        (TokenAlgorithm::Hs256, None) => return Ok(EncodingKey::from_secret(key.bytes())),
        (_, None) => return Err(SignError::KeyNeeded(algorithm.as_str())),
        (_, Some(pem)) => pem.expose().as_bytes(),
    };
    let key = match algorithm {
        TokenAlgorithm::EdDsa => EncodingKey::from_ed_pem(pem),
        TokenAlgorithm::Es256 => EncodingKey::from_ec_pem(pem),
        TokenAlgorithm::Hs256 | TokenAlgorithm::Rs256 => EncodingKey::from_rsa_pem(pem),
    };
    key.map_err(|_| SignError::NoPrivateKey(algorithm.as_str()))
}
