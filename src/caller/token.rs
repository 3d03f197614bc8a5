//! Verifier of JSON Web Tokens that a team's own back end or its identity provider signs.
//!
//! Checking a signature costs as much as tens of cache hits. So verified tokens are cached by their
//! digest, in bounded memory and until they expire.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ahash::RandomState;
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use jsonwebtoken::errors::ErrorKind;
use moka::Expiry;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use serde_json::value::RawValue;

use super::claims::{AcceptedClaims, Claims, unreadable};
use super::failure::AuthFailure;
use super::key::KeyDigest;
use super::key_ring::{KeyInForce, KeysInForce, ProviderKeys};
use super::revoked::RevokedTokens;
use super::subject::{Subject, TokenId};
use super::token_header::TokenHeader;
use super::token_keys::TokenKeys;
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
    /// Keys that verify signatures, each with the only algorithm that it accepts.
    pub keys: TokenKeys,
    /// Required `iss`.
    pub issuer: String,
    /// Required `aud`.
    pub audience: String,
    /// Revoked tokens; `None`: no file is configured.
    pub revoked: Option<Arc<RevokedTokens>>,
}

/// Verified token.
#[derive(Debug)]
pub struct Token {
    pub subject: Subject,
    id: Option<TokenId>,
    /// Key that verified the token. The token is not accepted after its key is withdrawn.
    key: Arc<KeyInForce>,
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

/// Verifier of tokens, with a cache of those that it has verified.
pub(super) struct Tokens {
    pub(super) settings: TokenSettings,
    keys: KeysInForce,
    verified: Cache<KeyDigest, Arc<Token>, RandomState>,
}

impl Tokens {
    /// Returns a verifier without remembered tokens. The keys of an identity provider that
    /// `before` has fetched stay in force if the provider is the same.
    pub(super) fn new(settings: TokenSettings, before: Option<&Self>) -> Self {
        let keys = KeysInForce::new(&settings.keys, before.map(|before| &before.keys));
        let verified = Cache::builder()
            .max_capacity(VERIFIED_BYTES_MAX)
            .weigher(|_: &KeyDigest, token: &Arc<Token>| weight(token))
            // LRU: a holder that sends requests now matters more than one that sent many and is
            // gone.
            .eviction_policy(EvictionPolicy::lru())
            .expire_after(TokenExpiry)
            .build_with_hasher(RandomState::new());
        Self { settings, keys, verified }
    }

    /// Returns whether a credential has the form of a token: two dots. Keys have no dots.
    pub(super) fn is_token(credential: &str) -> bool {
        credential.bytes().filter(|&byte| byte == b'.').count() == 2
    }

    /// Returns the keys of the identity provider, if one is configured.
    pub(super) fn provider_keys(&self) -> Option<&Arc<ProviderKeys>> {
        self.keys.provider()
    }

    /// Returns a token that was verified before, or the failure if it is not valid at this time.
    /// Its signature is not checked again, unless its key was withdrawn: then the token counts as
    /// not verified. `unix_time` reads the clock.
    pub(super) fn verified(
        &self,
        digest: &KeyDigest,
        unix_time: impl FnOnce() -> Duration,
    ) -> Option<Result<Arc<Token>, AuthFailure>> {
        let token = self.verified.get(digest)?;
        if token.key.is_withdrawn() {
            self.verified.invalidate(digest);
            return None;
        }
        let unix_time = unix_time();
        Some(if self.is_revoked(&token) {
            Err(AuthFailure::Revoked)
        } else if unix_time >= token.expires {
            Err(AuthFailure::TokenExpired)
        } else if unix_time < token.begins {
            Err(AuthFailure::TokenNotYetValid)
        } else {
            Ok(token)
        })
    }

    /// Verifies a token and caches it.
    pub(super) fn verify(
        &self,
        token: &str,
        digest: KeyDigest,
        unix_time: Duration,
    ) -> Result<Arc<Token>, AuthFailure> {
        let (claims, key) = self.signed(token)?;
        let TokenSettings { issuer, audience, .. } = &self.settings;
        let AcceptedClaims { subject, id, files, begins, remaining } =
            claims.accept(issuer, audience, unix_time)?;
        let token = Arc::new(Token {
            subject: Subject::of(&subject),
            id: id.as_deref().map(TokenId::of),
            key,
            files: files.map(Vec::into_boxed_slice),
            begins,
            expires: unix_time + remaining,
            remaining,
        });
        if self.is_revoked(&token) {
            return Err(AuthFailure::Revoked);
        }
        self.verified.insert(digest, Arc::clone(&token));
        Ok(token)
    }

    fn is_revoked(&self, token: &Token) -> bool {
        let revoked = self.settings.revoked.as_ref();
        revoked.is_some_and(|revoked| revoked.contains(&token.subject, token.id.as_ref()))
    }

    /// Returns the claims of a token whose header and signature are valid, and its key.
    fn signed(&self, token: &str) -> Result<(Claims, Arc<KeyInForce>), AuthFailure> {
        if token.len() > CREDENTIAL_BYTES_MAX {
            return Err(AuthFailure::TokenTooLong);
        }
        let header = TokenHeader::parse(token).ok_or(AuthFailure::TokenMalformed)?;
        if !self.settings.keys.accept(&header.alg) {
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
        let key = self.keys.find(header.kid.as_deref(), &header.alg)?;
        let decoded =
            jsonwebtoken::decode::<Box<RawValue>>(token, key.key().decoding(), key.validation());
        match decoded {
            Ok(decoded) => {
                let payload = decoded.claims.get();
                let claims = claims(payload).ok_or_else(|| unreadable(payload))?;
                Ok((claims, key))
            }
            Err(error) => Err(match error.kind() {
                ErrorKind::InvalidSignature => AuthFailure::TokenSignature,
                ErrorKind::InvalidAlgorithm => AuthFailure::TokenAlgorithm,
                // A JSON error can occur only after the signature was accepted.
                ErrorKind::Json(_) => {
                    payload(token).map_or(AuthFailure::TokenClaims, |payload| unreadable(&payload))
                }
                _ => AuthFailure::TokenMalformed,
            }),
        }
    }
}

/// Returns the payload of a token whose claims the library could not read.
fn payload(token: &str) -> Option<String> {
    let payload = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    String::from_utf8(payload).ok()
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
    use super::super::token_key::TokenKey;
    use super::*;
    use crate::secret::Secret;

    const SECRET: &str = "a-secret-of-thirty-two-bytes-or-so";
    /// Unix time, in milliseconds.
    const NOW: u64 = 1_700_000_000_000;
    const LEEWAY: u64 = 30_000;

    /// If a wrong clock is set back, a token that was verified before is again not valid yet.
    #[test]
    fn a_remembered_token_is_not_accepted_before_its_time() {
        let settings = TokenSettings {
            keys: TokenKeys::One(TokenKey::shared(&Secret::new(SECRET.to_owned())).unwrap()),
            issuer: "a".to_owned(),
            audience: "ikgate".to_owned(),
            revoked: None,
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
                jti: None,
                files: None,
            };
            let key = EncodingKey::from_secret(SECRET.as_bytes());
            let token = jsonwebtoken::encode(&Header::default(), &claims, &key).unwrap();
            let (tokens, digest) = (Tokens::new(settings.clone(), None), KeyDigest::of(&token));
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
