//! Settings of the keys that verify tokens, and the URL of an identity provider's key set.

use std::fmt;

use http::Uri;

use super::key_set::KeySet;
use super::token_key::{TokenAlgorithm, TokenKey};
use crate::message::is_loopback;

/// Keys that verify tokens.
#[derive(Clone, Debug, PartialEq)]
pub enum TokenKeys {
    /// One key for every token. A token's `kid` is ignored.
    One(TokenKey),
    /// Several keys. A token's `kid` selects one.
    ByKid(KeySet),
    /// Keys that an identity provider publishes. A token's `kid` selects one.
    Provider(KeyProvider),
}

/// Identity provider that publishes its keys as a JSON Web Key Set.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyProvider {
    pub url: KeySetUrl,
    /// Algorithms whose keys are used. Never HS256, whose key is a secret.
    pub algorithms: Vec<TokenAlgorithm>,
}

/// URL of a key set: `https://`, or `http://` to a loopback host, without user name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeySetUrl(Uri);

/// Reason why a URL is refused for a key set.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidKeySetUrl {
    #[error("must be like \"https://idp.example.com/.well-known/jwks.json\"")]
    NotAUrl,
    #[error("http:// is for loopback hosts only: keys could be replaced on their way")]
    PlainHttp,
    #[error("must not hold a user name or password")]
    UserInfo,
}

impl TokenKeys {
    /// Returns whether a key for this algorithm may exist.
    pub(super) fn accept(&self, algorithm: &str) -> bool {
        let is = |own: TokenAlgorithm| own.as_str() == algorithm;
        match self {
            Self::One(key) => is(key.algorithm()),
            Self::ByKid(set) => set.keys().iter().any(|own| is(own.key.algorithm())),
            Self::Provider(provider) => provider.algorithms.iter().any(|own| is(*own)),
        }
    }
}

impl KeySetUrl {
    pub fn parse(text: &str) -> Result<Self, InvalidKeySetUrl> {
        let url: Uri = text.parse().map_err(|_| InvalidKeySetUrl::NotAUrl)?;
        let (Some(scheme), Some(authority)) = (url.scheme_str(), url.authority()) else {
            return Err(InvalidKeySetUrl::NotAUrl);
        };
        if authority.as_str().contains('@') {
            return Err(InvalidKeySetUrl::UserInfo);
        }
        match scheme {
            _ if authority.host().is_empty() => Err(InvalidKeySetUrl::NotAUrl),
            "https" => Ok(Self(url)),
            "http" if is_loopback(authority.host()) => Ok(Self(url)),
            "http" => Err(InvalidKeySetUrl::PlainHttp),
            _ => Err(InvalidKeySetUrl::NotAUrl),
        }
    }

    /// Returns the URL as an HTTP client takes it.
    pub fn uri(&self) -> &Uri {
        &self.0
    }

    pub fn is_tls(&self) -> bool {
        self.0.scheme_str() == Some("https")
    }
}

impl fmt::Display for KeySetUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_over_https_or_from_loopback() {
        for good in [
            "https://idp.example.com/.well-known/jwks.json",
            "https://idp.example.com:8443/keys?appid=7",
            "http://127.0.0.1:1234/jwks",
            "http://[::1]/jwks",
            "http://localhost:1/",
        ] {
            assert_eq!(KeySetUrl::parse(good).unwrap().to_string(), good);
        }
        for (bad, expected) in [
            ("http://idp.example.com/jwks", InvalidKeySetUrl::PlainHttp),
            ("http://localhost.example.com/jwks", InvalidKeySetUrl::PlainHttp),
            ("https://user:word@idp.example.com/jwks", InvalidKeySetUrl::UserInfo),
            ("ftp://idp.example.com/jwks", InvalidKeySetUrl::NotAUrl),
            ("idp.example.com/jwks", InvalidKeySetUrl::NotAUrl),
            ("/jwks", InvalidKeySetUrl::NotAUrl),
            ("", InvalidKeySetUrl::NotAUrl),
        ] {
            assert_eq!(KeySetUrl::parse(bad), Err(expected), "{bad}");
        }
    }
}
