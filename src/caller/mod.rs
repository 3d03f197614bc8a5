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
mod proxies;
mod token;
mod token_key;
mod token_signer;

pub use callers::{
    AnonymousPolicy, CallerSettings, Callers, FileForbidden, Identified, UnverifiedToken,
};
pub use claims::{Audience, Claims, FILES_MAX, LIFETIME_MAX, NumericDate};
pub use failure::AuthFailure;
pub use identity::{Caller, CallerId};
pub use key::{CallerKey, InvalidKeyDigest, KEY_PREFIX, KeyDigest};
pub use proxies::{ClientOrigin, Proxies};
pub use token::{Subject, Token, TokenSettings};
pub use token_key::{InvalidTokenKey, TokenAlgorithm, TokenKey};
pub use token_signer::{SignError, TokenSigner};
