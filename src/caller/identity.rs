//! Identity of a caller, as quotas and permissions use it.

use std::net::IpAddr;
use std::sync::Arc;

use super::token::Token;

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
