//! Verifier of JSON Web Tokens that a team's own back end signs for its pages.
//!
//! Checking a signature costs as much as tens of cache hits. So verified tokens are cached by their
//! digest, in bounded memory and until they expire.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ahash::RandomState;
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use jsonwebtoken::Validation;
use jsonwebtoken::errors::ErrorKind;
use moka::Expiry;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use super::claims::{AcceptedClaims, Claims};
use super::failure::AuthFailure;
use super::key::KeyDigest;
use super::token_key::{TokenAlgorithm, TokenKey};
use crate::file_id::FileId;

/// Longest credential that is examined, in bytes.
pub(super) const CREDENTIAL_BYTES_MAX: usize = 4096;

/// Memory for verified tokens, in bytes. More memory serves more pages at a time without another
/// signature check.
const VERIFIED_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Memory of one verified token besides its files: digest, claims and map entry, in bytes.
const VERIFIED_BYTES: usize = 512;

/// Settings of the accepted tokens.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenSettings {
    /// Accepted algorithm. It comes from the configuration only; a token's `alg` must be the same.
    pub algorithm: TokenAlgorithm,
    /// Key that verifies signatures.
    pub key: TokenKey,
    /// Required `iss`.
    pub issuer: String,
    /// Required `aud`.
    pub audience: String,
}

/// Verified token.
#[derive(Debug)]
pub struct Token {
    pub subject: Subject,
    files: Option<Box<[FileId]>>,
    /// Validity in Unix time, by the wall clock, as its claims are (RFC 7519 sections 4.1.4 to
    /// 4.1.6). The monotonic clock stands still while a machine sleeps, and is not set back.
    begins: Duration,
    expires: Duration,
    /// Time from verification to expiry.
    remaining: Duration,
}

/// Expiry policy of the cache: a token leaves it when it expires, by moka's own clock.
struct TokenExpiry;

impl Expiry<KeyDigest, Arc<Token>> for TokenExpiry {
    fn expire_after_create(
        &self,
        _: &KeyDigest,
        token: &Arc<Token>,
        _: Instant,
    ) -> Option<Duration> {
        Some(token.remaining)
    }
}

/// Subject of a token, as quotas tell subjects apart: 128 bits of a digest, so that each takes the
/// same memory.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Subject([u8; 16]);

impl Subject {
    fn of(sub: &str) -> Self {
        let digest: [u8; 32] = Sha256::digest(sub.as_bytes()).into();
        let (first, _) = digest.split_first_chunk().expect("a digest has 32 bytes");
        Self(*first)
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl Token {
    /// Returns whether the token may be used for this file.
    pub(super) fn covers(&self, file: &FileId) -> bool {
        self.files.is_none() || self.names(file)
    }

    /// Returns whether the token names this file.
    pub fn names(&self, file: &FileId) -> bool {
        let Some(files) = &self.files else { return false };
        files.binary_search_by(|own| own.as_str().cmp(file.as_str())).is_ok()
    }
}

/// Fields of a token's header that are checked (RFC 7515 section 4.1).
#[derive(Deserialize)]
struct TokenHeader {
    alg: String,
    /// Whether `crit` is present, with any value: this gateway knows no extensions.
    #[serde(default, deserialize_with = "is_present")]
    crit: bool,
    /// Whether `cty` is present. It marks a payload that is not claims: a nested token (RFC 7519
    /// section 5.2).
    #[serde(default, deserialize_with = "is_present")]
    cty: bool,
}

fn is_present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(deserializer).map(|_| true)
}

/// Verifier of tokens, with a cache of those that it has verified.
pub(super) struct Tokens {
    pub(super) settings: TokenSettings,
    validation: Validation,
    verified: Cache<KeyDigest, Arc<Token>, RandomState>,
}

impl Tokens {
    pub(super) fn new(settings: TokenSettings) -> Self {
        // The library checks signature and algorithm only. The claims are checked against our own
        // clock.
        let mut validation = Validation::new(settings.algorithm.registered());
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_aud = false;
        let verified = Cache::builder()
            .max_capacity(VERIFIED_BYTES_MAX)
            .weigher(|_: &KeyDigest, token: &Arc<Token>| weight(token))
            // LRU: a holder that sends requests now matters more than one that sent many and is
            // gone.
            .eviction_policy(EvictionPolicy::lru())
            .expire_after(TokenExpiry)
            .build_with_hasher(RandomState::new());
        Self { settings, validation, verified }
    }

    /// Returns whether a credential has the form of a token: two dots. Keys have no dots.
    pub(super) fn is_token(credential: &str) -> bool {
        credential.bytes().filter(|&byte| byte == b'.').count() == 2
    }

    /// Returns a token that was verified before, or the failure if it is not valid at this time.
    /// Its signature is not checked again. `wall` reads the Unix time.
    pub(super) fn verified(
        &self,
        digest: &KeyDigest,
        wall: impl FnOnce() -> Duration,
    ) -> Option<Result<Arc<Token>, AuthFailure>> {
        let token = self.verified.get(digest)?;
        let wall = wall();
        Some(if wall >= token.expires {
            Err(AuthFailure::TokenExpired)
        } else if wall < token.begins {
            Err(AuthFailure::TokenNotYetValid)
        } else {
            Ok(token)
        })
    }

    /// Verifies a token and caches it. `wall`: Unix time.
    pub(super) fn verify(
        &self,
        token: &str,
        digest: KeyDigest,
        wall: Duration,
    ) -> Result<Arc<Token>, AuthFailure> {
        let claims = self.signed(token)?;
        let TokenSettings { issuer, audience, .. } = &self.settings;
        let AcceptedClaims { subject, files, begins, remaining } =
            claims.accept(issuer, audience, wall)?;
        let token = Arc::new(Token {
            subject: Subject::of(&subject),
            files: files.map(Vec::into_boxed_slice),
            begins,
            expires: wall + remaining,
            remaining,
        });
        self.verified.insert(digest, Arc::clone(&token));
        Ok(token)
    }

    /// Returns the claims of a token whose header and signature are valid.
    fn signed(&self, token: &str) -> Result<Claims, AuthFailure> {
        if token.len() > CREDENTIAL_BYTES_MAX {
            return Err(AuthFailure::TokenTooLong);
        }
        let header = header(token).ok_or(AuthFailure::TokenMalformed)?;
        if header.alg != self.settings.algorithm.as_str() {
            return Err(AuthFailure::TokenAlgorithm);
        }
        if header.crit {
            return Err(AuthFailure::TokenCritical);
        }
        if header.cty {
            return Err(AuthFailure::TokenMalformed);
        }
        // Checks the types of all other header fields.
        jsonwebtoken::decode_header(token).map_err(|_| AuthFailure::TokenMalformed)?;
        let decoded = jsonwebtoken::decode::<Box<RawValue>>(
            token,
            self.settings.key.decoding(),
            &self.validation,
        );
        match decoded {
            Ok(decoded) => claims(decoded.claims.get()).ok_or(AuthFailure::TokenClaims),
            Err(error) => Err(match error.kind() {
                ErrorKind::InvalidSignature => AuthFailure::TokenSignature,
                ErrorKind::InvalidAlgorithm => AuthFailure::TokenAlgorithm,
                // A JSON error can occur only after the signature was accepted.
                ErrorKind::Json(_) => AuthFailure::TokenClaims,
                _ => AuthFailure::TokenMalformed,
            }),
        }
    }
}

fn header(token: &str) -> Option<TokenHeader> {
    let (header, _) = token.split_once('.')?;
    let header = String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(header).ok()?).ok()?;
    serde_json::from_str(&header).ok()
}

/// Parses the claims of a payload. The whole payload is UTF-8, ignored parts included (RFC 8725
/// section 3.7). It must be an object (RFC 7519 section 7.2): the deserializer would accept a list.
fn claims(payload: &str) -> Option<Claims> {
    payload.starts_with('{').then(|| serde_json::from_str(payload).ok()).flatten()
}

fn weight(token: &Token) -> u32 {
    let files = token.files.as_ref().map_or(0, |files| size_of_val(&**files));
    u32::try_from(VERIFIED_BYTES + files).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{EncodingKey, Header};

    use super::super::claims::{Audience, NumericDate};
    use super::*;
    use crate::secret::Secret;

    const SECRET: &str = "a-secret-of-thirty-two-bytes-or-so";
    /// Unix time, in milliseconds.
    const NOW: u64 = 1_700_000_000_000;
    const LEEWAY: u64 = 30_000;

    /// If a wrong clock is set back, a verified token is not valid yet once more.
    #[test]
    fn a_remembered_token_is_not_accepted_before_its_time() {
        let settings = TokenSettings {
            algorithm: TokenAlgorithm::Hs256,
            key: TokenKey::shared(&Secret::new(SECRET.to_owned())).unwrap(),
            issuer: "a".to_owned(),
            audience: "ikgate".to_owned(),
        };
        let date = |at: u64| NumericDate(Duration::from_millis(at));
        for (iat, nbf) in [(NOW, None), (NOW - 600_000, Some(NOW))] {
            let claims = Claims {
                sub: "user-1".to_owned(),
                iss: "a".to_owned(),
                aud: Audience::One("ikgate".to_owned()),
                exp: date(NOW + 300_000),
                iat: date(iat),
                nbf: nbf.map(date),
                files: None,
            };
            let key = EncodingKey::from_secret(SECRET.as_bytes());
            let token = jsonwebtoken::encode(&Header::default(), &claims, &key).unwrap();
            let (tokens, digest) = (Tokens::new(settings.clone()), KeyDigest::of(&token));
            tokens.verify(&token, digest, Duration::from_millis(NOW)).unwrap();
            let at =
                |at: u64| tokens.verified(&digest, || Duration::from_millis(at)).unwrap().map(drop);
            assert_eq!(at(NOW - LEEWAY), Ok(()), "nbf {nbf:?}");
            let before = at(NOW - LEEWAY - 1);
            assert_eq!(before, Err(AuthFailure::TokenNotYetValid), "nbf {nbf:?}");
            assert_eq!(at(NOW + 330_000), Err(AuthFailure::TokenExpired), "nbf {nbf:?}");
        }
    }
}
