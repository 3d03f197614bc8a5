//! Table of callers: configured keys and tokens, and the files that each may read.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ahash::RandomState;
use subtle::ConstantTimeEq as _;

use super::credential::{Credential, holds_word};
use super::failure::AuthFailure;
use super::identity::{Caller, CallerId};
use super::key::KeyDigest;
use super::key_ring::ProviderKeys;
use super::revoked::RevokedTokens;
use super::token::{CREDENTIAL_BYTES_MAX, TokenSettings, Tokens};
use crate::file_id::FileId;
use crate::message::{FieldName, RequestFields};

/// Prefix of every key that ImageKit issues for servers.
const IMAGEKIT_KEY_PREFIX: &str = "private_";

/// Settings of one configured caller.
#[derive(Clone, Debug)]
pub struct CallerSettings {
    /// Name in logs, metrics and quota header fields.
    pub name: String,
    /// Digests of its keys: one, or two while a key is being replaced.
    pub keys: Vec<KeyDigest>,
    /// Files that the caller may read; `None`: every file.
    pub files: Option<Vec<FileId>>,
}

/// Policy for requests without credentials: serve them as anonymous, or refuse them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AnonymousPolicy {
    Refuse,
    Serve,
}

/// Error for a file that the caller's credential does not cover.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the caller may not read this file")]
pub struct FileForbidden;

/// Result of a cheap check of a request's credential.
pub enum Identified<'a> {
    /// A caller that is known by its key, its verified token or its address.
    Caller(Caller),
    /// A token that was not seen before. Verifying it costs far more than this check.
    UnverifiedToken(UnverifiedToken<'a>),
}

/// A token that is not verified yet.
pub struct UnverifiedToken<'a> {
    token: Credential<'a>,
    digest: KeyDigest,
}

/// Table of the callers that may send requests.
pub struct Callers {
    anonymous: AnonymousPolicy,
    // Indexed by the first 64 bits of the digest, so that the comparison of the whole takes
    // constant time.
    by_prefix: HashMap<u64, (KeyDigest, CallerId), RandomState>,
    files: Vec<Option<Vec<FileId>>>,
    /// Verifier of tokens; `None`: tokens are not accepted.
    tokens: Option<Arc<Tokens>>,
}

impl Callers {
    /// Returns a table of the callers `known`.
    pub fn new(
        known: &[CallerSettings],
        anonymous: AnonymousPolicy,
        tokens: Option<TokenSettings>,
    ) -> Self {
        Self::of(known, anonymous, tokens.map(|settings| Arc::new(Tokens::new(settings, None))))
    }

    /// Returns a table with other settings. If the token settings are the same, tokens that were
    /// verified stay verified.
    #[must_use]
    pub fn renewed(
        &self,
        known: &[CallerSettings],
        anonymous: AnonymousPolicy,
        tokens: Option<TokenSettings>,
    ) -> Self {
        let tokens = tokens.map(|settings| match &self.tokens {
            Some(own) if own.settings == settings => Arc::clone(own),
            own => Arc::new(Tokens::new(settings, own.as_deref())),
        });
        Self::of(known, anonymous, tokens)
    }

    fn of(
        known: &[CallerSettings],
        anonymous: AnonymousPolicy,
        tokens: Option<Arc<Tokens>>,
    ) -> Self {
        let mut by_prefix = HashMap::default();
        for (place, caller) in known.iter().enumerate() {
            for key in &caller.keys {
                by_prefix.insert(key.prefix(), (*key, CallerId(place)));
            }
        }
        let sorted = |files: &Vec<FileId>| {
            let mut files = files.clone();
            files.sort_unstable_by(|a, b| a.as_str().cmp(b.as_str()));
            files
        };
        let files = known.iter().map(|caller| caller.files.as_ref().map(sorted)).collect();
        Self { anonymous, by_prefix, files, tokens }
    }

    /// Returns whether a caller with a credential can exist: a key or token settings are
    /// configured.
    pub fn has_credentials(&self) -> bool {
        !self.by_prefix.is_empty() || self.tokens.is_some()
    }

    /// Returns the keys of the identity provider, if one is configured.
    pub fn provider_keys(&self) -> Option<Arc<ProviderKeys>> {
        self.tokens.as_ref()?.provider_keys().cloned()
    }

    /// Returns the revoked tokens, if a file of them is configured.
    pub fn revoked_tokens(&self) -> Option<Arc<RevokedTokens>> {
        self.tokens.as_ref()?.settings.revoked.clone()
    }

    /// Identifies the caller of a request with these `fields` from `client`, at the cost of one
    /// digest at most. `unix_time` reads the clock.
    ///
    /// # Errors
    ///
    /// [`AuthFailure`] if a required credential is missing, or if the credential is not accepted.
    pub fn identify<'a>(
        &self,
        fields: &RequestFields<'a>,
        client: IpAddr,
        unix_time: impl FnOnce() -> Duration,
    ) -> Result<Identified<'a>, AuthFailure> {
        let mut credentials = fields.all(FieldName::Authorization);
        let Some(value) = credentials.next() else {
            return match self.anonymous {
                AnonymousPolicy::Refuse => Err(AuthFailure::Missing),
                AnonymousPolicy::Serve => Ok(Identified::Caller(Caller::Anonymous(client))),
            };
        };
        if credentials.next().is_some() {
            return Err(AuthFailure::Duplicate);
        }
        let Some(credential) = Credential::parse(value) else {
            let is_leak = holds_word(value, IMAGEKIT_KEY_PREFIX);
            return Err(if is_leak { AuthFailure::ImageKitKey } else { AuthFailure::Malformed });
        };
        if credential.starts_with(IMAGEKIT_KEY_PREFIX) {
            return Err(AuthFailure::ImageKitKey);
        }
        let is_token = Tokens::is_token(&credential);
        if credential.len() > CREDENTIAL_BYTES_MAX {
            return Err(if is_token { AuthFailure::TokenTooLong } else { AuthFailure::UnknownKey });
        }
        let digest = KeyDigest::of(&credential);
        if let Some(known) = self.with_key(&digest) {
            return Ok(Identified::Caller(known));
        }
        let Some(tokens) = self.tokens.as_ref().filter(|_| is_token) else {
            let takes_only_tokens = self.tokens.is_some() && self.by_prefix.is_empty();
            return Err(match is_token {
                true => AuthFailure::TokensOff,
                false if takes_only_tokens => AuthFailure::NoCallers,
                false => AuthFailure::UnknownKey,
            });
        };
        match tokens.verified(&digest, unix_time) {
            Some(token) => Ok(Identified::Caller(Caller::Token(token?))),
            None => Ok(Identified::UnverifiedToken(UnverifiedToken { token: credential, digest })),
        }
    }

    /// Verifies the signature and the claims of a token.
    ///
    /// # Errors
    ///
    /// [`AuthFailure`] with the reason why the token is not accepted.
    pub fn verify(
        &self,
        token: &UnverifiedToken<'_>,
        unix_time: Duration,
    ) -> Result<Caller, AuthFailure> {
        let tokens = self.tokens.as_ref().ok_or(AuthFailure::UnknownKey)?;
        let token = tokens.verify(&token.token, token.digest, unix_time);
        token.map(Caller::Token)
    }

    fn with_key(&self, digest: &KeyDigest) -> Option<Caller> {
        let (known, id) = self.by_prefix.get(&digest.prefix())?;
        bool::from(known.as_bytes().ct_eq(digest.as_bytes())).then_some(Caller::Known(*id))
    }

    /// Checks that the caller's credential covers this file.
    ///
    /// # Errors
    ///
    /// [`FileForbidden`] if the caller is limited to other files.
    pub fn may_read(&self, caller: &Caller, file: &FileId) -> Result<(), FileForbidden> {
        let covered = match caller {
            Caller::Anonymous(_) => true,
            Caller::Known(CallerId(place)) => match self.files.get(*place) {
                Some(Some(files)) => {
                    files.binary_search_by(|own| own.as_str().cmp(file.as_str())).is_ok()
                }
                Some(None) => true,
                None => false,
            },
            Caller::Token(token) => token.covers(file),
        };
        if covered { Ok(()) } else { Err(FileForbidden) }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use base64::prelude::{BASE64_STANDARD, Engine as _};

    use super::*;
    use crate::message::request::tests::{fields, map};

    const PEER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn callers(anonymous: AnonymousPolicy) -> Callers {
        let caller = |name: &str, keys: &[&str], files: Option<Vec<FileId>>| CallerSettings {
            name: name.to_owned(),
            keys: keys.iter().map(|key| KeyDigest::of(key)).collect(),
            files,
        };
        let some = vec![FileId::parse("b").unwrap(), FileId::parse("a").unwrap()];
        let known =
            [caller("web", &["ikg_new", "ikg_old"], None), caller("ci", &["k"], Some(some))];
        Callers::new(&known, anonymous, None)
    }

    /// Returns the index of a configured caller; `None` for an anonymous one.
    fn identify_by(callers: &Callers, values: &[&str]) -> Result<Option<usize>, AuthFailure> {
        let lines: Vec<_> =
            values.iter().map(|value| ("authorization", value.as_bytes())).collect();
        match callers.identify(&fields(&map(&lines)), PEER, || Duration::ZERO)? {
            Identified::Caller(Caller::Anonymous(PEER)) => Ok(None),
            Identified::Caller(Caller::Known(CallerId(place))) => Ok(Some(place)),
            _ => unreachable!("tokens are not configured"),
        }
    }

    fn identify(values: &[&str]) -> Result<Option<usize>, AuthFailure> {
        identify_by(&callers(AnonymousPolicy::Serve), values)
    }

    fn basic(pair: impl AsRef<[u8]>) -> String {
        format!("Basic {}", BASE64_STANDARD.encode(pair))
    }

    #[test]
    fn a_key_is_known_as_bearer_or_as_basic_user_name_with_any_password() {
        let web = Ok(Some(0));
        assert_eq!(identify(&["Bearer ikg_new"]), web);
        assert_eq!(identify(&["bearer  ikg_old"]), web);
        assert_eq!(identify(&[&basic("ikg_new:")]), web);
        assert_eq!(identify(&[&basic("ikg_new:do_not_set")]), web);
        assert_eq!(identify(&[&basic("k:a:b")]), Ok(Some(1)));
    }

    #[test]
    fn the_octets_of_a_basic_password_do_not_matter_and_those_of_the_user_name_do() {
        let web = Ok(Some(0));
        assert_eq!(identify(&[&basic(b"ikg_new:p\xe9\xff")]), web);
        assert_eq!(identify(&[&basic(b"ikg_new:\0\r\n")]), web);
        for wrong in [&b"ikg_new\xe9:"[..], b"\xffikg_new:a", b"ikg_new\0:", b"ikg_new\n:", b"\xe9"]
        {
            assert_eq!(identify(&[&basic(wrong)]), Err(AuthFailure::Malformed), "{wrong:?}");
        }
    }

    #[test]
    fn a_credential_that_is_not_right_is_never_anonymous() {
        assert_eq!(identify(&["Bearer other"]), Err(AuthFailure::UnknownKey));
        assert_eq!(identify(&["Bearer "]), Err(AuthFailure::Malformed));
        assert_eq!(identify(&[""]), Err(AuthFailure::Malformed));
        assert_eq!(identify(&["Digest a=b"]), Err(AuthFailure::Malformed));
        assert_eq!(identify(&["Basic ###"]), Err(AuthFailure::Malformed));
        assert_eq!(identify(&[&basic("nocolon")]), Err(AuthFailure::Malformed));
        assert_eq!(identify(&[&basic(":")]), Err(AuthFailure::Malformed));
        assert_eq!(identify(&["Bearer k", "Bearer k"]), Err(AuthFailure::Duplicate));
        assert_eq!(identify(&[&basic("private_x=:")]), Err(AuthFailure::ImageKitKey));
        assert_eq!(identify(&["Bearer private_x="]), Err(AuthFailure::ImageKitKey));
    }

    /// ImageKit's API also takes its key after `Basic` without base64.
    #[test]
    fn an_imagekit_key_is_told_from_other_malformed_credentials_in_each_form() {
        let encoded = basic("private_x=");
        let forms = ["private_x=", "Basic private_x=", "Token private_x=", "basic  private_x=:"];
        for value in forms.into_iter().chain([encoded.as_str()]) {
            assert_eq!(identify(&[value]), Err(AuthFailure::ImageKitKey), "{value}");
        }
        for value in ["Basic", "Token xprivate_x=", "Digest a=private_x="] {
            assert_eq!(identify(&[value]), Err(AuthFailure::Malformed), "{value}");
        }
    }

    #[test]
    fn without_a_credential_the_policy_decides() {
        assert_eq!(identify_by(&callers(AnonymousPolicy::Serve), &[]), Ok(None));
        let refused = identify_by(&callers(AnonymousPolicy::Refuse), &[]);
        assert_eq!(refused, Err(AuthFailure::Missing));
    }

    #[test]
    fn a_caller_with_a_list_of_files_reads_only_those() {
        let callers = callers(AnonymousPolicy::Serve);
        let may = |caller, id: &str| callers.may_read(&caller, &FileId::parse(id).unwrap()).is_ok();
        assert!(may(Caller::Known(CallerId(1)), "a") && may(Caller::Known(CallerId(1)), "b"));
        assert!(!may(Caller::Known(CallerId(1)), "c"));
        assert!(may(Caller::Known(CallerId(0)), "c"));
        assert!(may(Caller::Anonymous(PEER), "c"));
    }
}
