//! Authentication: identifies the caller of a request by its key, its token or its address.
//!
//! A credential that is present must be valid. A client that sends an invalid one is never served
//! as anonymous, since a typo would then silently spend another quota. A caller's credential ends
//! here: it is not forwarded.
//!
//! Authentication takes two steps, so that the gateway can refuse a request in between.
//! [`Callers::identify`] knows keys and the tokens seen before, at the cost of a digest.
//! [`Callers::verify`] verifies the signature of a new token.

mod callers;
mod claims;
mod credential;
mod failure;
mod identity;
mod key;
mod key_ring;
mod key_set;
mod proxies;
mod revoked;
mod subject;
mod token;
mod token_header;
mod token_key;
mod token_keys;
mod token_signer;

pub use callers::{
    AnonymousPolicy, CallerSettings, Callers, FileForbidden, Identified, UnverifiedToken,
};
pub use claims::{Audience, Claims, FILES_MAX, LIFETIME_MAX, NumericDate};
pub use failure::AuthFailure;
pub use identity::{Caller, CallerId};
pub use key::{CallerKey, InvalidKeyDigest, KEY_PREFIX, KeyDigest};
pub use key_ring::{KeySetChange, ProviderKeys};
pub use key_set::{
    InvalidKeySet, KEY_SET_BYTES_MAX, KEYS_MAX, KeySet, NamedKey, ParsedKeySet, SkippedKey,
};
pub use proxies::{ClientOrigin, Proxies};
pub use revoked::{InvalidRevokedFile, RevokedTokens};
pub use subject::Subject;
pub use token::{Token, TokenSettings};
pub use token_key::{InvalidTokenKey, TokenAlgorithm, TokenKey};
pub use token_keys::{InvalidKeySetUrl, KeyProvider, KeySetUrl, TokenKeys};
pub use token_signer::{SignError, TokenSigner};
