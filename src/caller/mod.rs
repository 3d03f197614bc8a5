//! Who is asking: a configured caller by its key, the holder of a token, or an address.
//!
//! A credential that is present must be right: nobody who sends one is served as anonymous,
//! since a typo would then silently spend another quota. What a caller sends as credential ends
//! here; it is never logged and never forwarded.
//!
//! Finding out takes two steps, so that the gateway can refuse in between: [`Callers::recognise`]
//! knows keys and tokens that were seen before, at the price of a digest; [`Callers::verify`]
//! looks at the signature of a token that is new.

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

/// Whom a quota is counted against.
#[derive(Clone, Debug)]
pub enum Caller {
    /// By the address that the request comes from.
    Anonymous(IpAddr),
    Known(CallerId),
    /// By the subject of a token.
    Token(Arc<Token>),
}

/// A configured caller, by its place in the configuration.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct CallerId(pub usize);
