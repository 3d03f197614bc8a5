//! Constructors of error responses, and the help texts that several of them share.

use std::borrow::Cow;

use super::code::ErrorCode;
use crate::response::{Connection, Problem, Retry};

pub(super) const HELP_LATER: &str =
    "Try again later. If the error persists, ask the operator of this gateway.";
pub(super) const HELP_OPERATOR: &str = "Only the operator of this gateway can fix this.";
pub(super) const HELP_WAIT: &str =
    "Wait as long as Retry-After says. The operator of this gateway sets its limits.";

/// Returns a problem after which the connection stays open.
pub(super) fn problem(
    code: ErrorCode,
    message: impl Into<Cow<'static, str>>,
    help: &'static str,
    retry: Retry,
) -> Problem {
    Problem {
        status: code.status(),
        code: code.as_str(),
        message: message.into(),
        help,
        retry,
        allowed: None,
        connection: Connection::Keep,
    }
}

/// Returns the problem of a request that will always fail.
pub(super) fn never(code: ErrorCode, message: &'static str, help: &'static str) -> Problem {
    problem(code, message, help, Retry::Never)
}

/// Returns the problem with the connection closed after it.
pub(super) fn closing(problem: Problem) -> Problem {
    Problem { connection: Connection::Close, ..problem }
}
