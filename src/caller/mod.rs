//! Who is asking: a configured caller by its key, or an address.
//!
//! A credential that is present must be right: nobody who sends one is served as anonymous,
//! since a typo would then silently spend another quota. What a caller sends as credential ends
//! here; it is never logged and never forwarded.

mod credential;
mod key;
mod proxies;

use std::collections::HashMap;
use std::net::IpAddr;

use ahash::RandomState;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use subtle::ConstantTimeEq as _;

pub use key::{CallerKey, InvalidKeyDigest, KeyDigest};
pub use proxies::Proxies;

use crate::file_id::FileId;

/// What every key that ImageKit issues for servers starts with.
const IMAGEKIT_KEY_PREFIX: &str = "private_";

/// Whom a quota is counted against.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Caller {
    /// By the address that the request comes from.
    Anonymous(IpAddr),
    Known(CallerId),
}

/// A configured caller, by its place in the configuration.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct CallerId(pub usize);

/// One configured caller.
#[derive(Clone, Debug)]
pub struct CallerSettings {
    pub name: String,
    /// One, or two while a key is being replaced.
    pub keys: Vec<KeyDigest>,
    /// `None`: every file.
    pub files: Option<Vec<FileId>>,
}

/// Whether a request without credentials is served.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AnonymousPolicy {
    Refuse,
    Serve,
}

/// Why a caller is not known.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum AuthFailure {
    #[error("more than one Authorization field")]
    Duplicate,
    #[error("an ImageKit private key was sent")]
    ImageKitKey,
    #[error("the Authorization field cannot be read")]
    Malformed,
    #[error("no credential, and anonymous callers are refused")]
    Missing,
    #[error("the key is not a caller's")]
    UnknownKey,
}

/// The caller's credential does not cover this file.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the caller may not read this file")]
pub struct FileForbidden;

/// Everyone who may ask.
pub struct Callers {
    anonymous: AnonymousPolicy,
    // By a part of the digest, so that the comparison of the whole can take constant time.
    by_prefix: HashMap<u64, (KeyDigest, CallerId), RandomState>,
    files: Vec<Option<Vec<FileId>>>,
}

impl Callers {
    pub fn new(known: &[CallerSettings], anonymous: AnonymousPolicy) -> Self {
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
        Self { anonymous, by_prefix, files }
    }

    /// Finds out who sent these fields from `client`.
    ///
    /// # Errors
    ///
    /// A credential that is missing where one is needed, or not right.
    pub fn identify(&self, fields: &HeaderMap, client: IpAddr) -> Result<Caller, AuthFailure> {
        let mut credentials = fields.get_all(AUTHORIZATION).iter();
        let Some(value) = credentials.next() else {
            return match self.anonymous {
                AnonymousPolicy::Refuse => Err(AuthFailure::Missing),
                AnonymousPolicy::Serve => Ok(Caller::Anonymous(client)),
            };
        };
        if credentials.next().is_some() {
            return Err(AuthFailure::Duplicate);
        }
        let credential = credential::parse(value).ok_or(AuthFailure::Malformed)?;
        if credential.expose().starts_with(IMAGEKIT_KEY_PREFIX) {
            return Err(AuthFailure::ImageKitKey);
        }
        self.known_by(&KeyDigest::of(credential.expose())).ok_or(AuthFailure::UnknownKey)
    }

    fn known_by(&self, digest: &KeyDigest) -> Option<Caller> {
        let (known, id) = self.by_prefix.get(&digest.prefix())?;
        bool::from(known.as_bytes().ct_eq(digest.as_bytes())).then_some(Caller::Known(*id))
    }

    /// Whether the caller's credential covers this file.
    ///
    /// # Errors
    ///
    /// [`FileForbidden`] if the caller is limited to other files.
    pub fn may_read(&self, caller: Caller, file: &FileId) -> Result<(), FileForbidden> {
        let Caller::Known(CallerId(place)) = caller else { return Ok(()) };
        let Some(Some(files)) = self.files.get(place) else { return Ok(()) };
        let covered = files.binary_search_by(|own| own.as_str().cmp(file.as_str())).is_ok();
        if covered { Ok(()) } else { Err(FileForbidden) }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use base64::prelude::{BASE64_STANDARD, Engine as _};
    use http::HeaderValue;

    use super::*;

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
        Callers::new(&known, anonymous)
    }

    fn identify(values: &[&str]) -> Result<Caller, AuthFailure> {
        let mut fields = HeaderMap::new();
        for value in values {
            fields.append(AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        }
        callers(AnonymousPolicy::Serve).identify(&fields, PEER)
    }

    fn basic(pair: &str) -> String {
        format!("Basic {}", BASE64_STANDARD.encode(pair))
    }

    #[test]
    fn a_key_is_known_as_bearer_or_as_basic_user_name_with_any_password() {
        let web = Ok(Caller::Known(CallerId(0)));
        assert_eq!(identify(&["Bearer ikg_new"]), web);
        assert_eq!(identify(&["bearer  ikg_old"]), web);
        assert_eq!(identify(&[&basic("ikg_new:")]), web);
        assert_eq!(identify(&[&basic("ikg_new:do_not_set")]), web);
        assert_eq!(identify(&[&basic("k:a:b")]), Ok(Caller::Known(CallerId(1))));
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

    #[test]
    fn without_a_credential_the_policy_decides() {
        let fields = HeaderMap::new();
        let anonymous = Ok(Caller::Anonymous(PEER));
        assert_eq!(callers(AnonymousPolicy::Serve).identify(&fields, PEER), anonymous);
        let refused = callers(AnonymousPolicy::Refuse).identify(&fields, PEER);
        assert_eq!(refused, Err(AuthFailure::Missing));
    }

    #[test]
    fn a_caller_with_a_list_of_files_reads_only_those() {
        let callers = callers(AnonymousPolicy::Serve);
        let may = |caller, id: &str| callers.may_read(caller, &FileId::parse(id).unwrap()).is_ok();
        assert!(may(Caller::Known(CallerId(1)), "a") && may(Caller::Known(CallerId(1)), "b"));
        assert!(!may(Caller::Known(CallerId(1)), "c"));
        assert!(may(Caller::Known(CallerId(0)), "c"));
        assert!(may(Caller::Anonymous(PEER), "c"));
    }
}
