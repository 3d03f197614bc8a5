//! Errors of a request, as its caller sees them: every reason for a response that the upstream did
//! not give.
//!
//! Each variant of [`GatewayError`] is one thing that a caller can act on, or that an operator must
//! look at. Stages return their own errors; only this module turns them into a status, a code and a
//! text. The texts are constants, but for the wait of a 429: no address, path or system error
//! reaches a caller.

mod code;
mod credential_problems;
mod gateway_error;
mod problem;
mod problems;
pub mod reference;
mod request_problems;
#[cfg(test)]
mod tests;
mod upstream;

pub use code::{Clients, ErrorCode};
pub use gateway_error::GatewayError;
pub use problems::{bad_request, not_found, version_not_found};
