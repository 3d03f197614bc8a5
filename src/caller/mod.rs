//! Authentication: identifies the caller of a request by its key, its token or its address.
//!
//! A credential that is present must be valid. A client that sends an invalid one is never served
//! as anonymous, since a typo would then silently spend another quota. A caller's credential ends
//! here: it is not forwarded.
//!
//! Authentication takes two steps, so that the gateway can refuse a request in between.
//! [`Callers::recognise`] knows keys and the tokens seen before, at the cost of a digest.
//! [`Callers::verify`] verifies the signature of a new token.

mod callers;
mod claims;
mod credential;
mod failure;
mod key;
mod proxies;
mod token;
mod token_key;
mod token_signer;

use std::net::IpAddr;
use std::sync::Arc;

pub use callers::{AnonymousPolicy, CallerSettings, Callers, FileForbidden, Recognised, Stranger};
pub use claims::{Audience, Claims, FILES_MAX, LIFETIME_MAX, NumericDate};
pub use failure::AuthFailure;
pub use key::{CallerKey, InvalidKeyDigest, KeyDigest};
pub use proxies::{Proxies, Sender};
pub use token::{Subject, Token, TokenSettings};
pub use token_key::{InvalidTokenKey, TokenAlgorithm, TokenKey};
pub use token_signer::{SignError, TokenSigner};

/// Caller of a request. A quota is counted per caller.
#[derive(Clone, Debug)]
pub enum Caller {
    /// Caller without a credential, identified by the client address.
    Anonymous(IpAddr),
    /// Configured caller, identified by its key.
    Known(CallerId),
    /// Holder of a token, identified by the token's subject.
    Token(Arc<Token>),
}

/// Index of a caller in the configuration.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct CallerId(pub usize);
