//! Mapping from each [`GatewayError`] to the [`Problem`] that its caller receives: status, code,
//! text, retry.

use std::time::Duration;

use super::code::ErrorCode;
use super::credential_problems::{auth_problem, signature_problem};
use super::gateway_error::GatewayError;
use super::problem::{HELP_LATER, HELP_WAIT, closing, never, problem};
use super::request_problems::{HELP_BODY, head_problem, route_problem};
use super::upstream::{timeout_problem, upstream_problem};
use crate::caller::FileForbidden;
use crate::limit::{Limit, Quota, Throttled, WEBHOOK_QUOTA, whole_millis};
use crate::response::{BucketFields, Problem, Retry};

const HELP_AUTH: &str = "Stop sending the credential that fails. A key, or a token that was accepted \
                         before, is still accepted; a new token must wait. The operator of this \
                         gateway sets its limits.";
const HELP_BROKEN_BODY: &str = "Send as many bytes as Content-Length states, or chunks in the format of RFC 9112. If a proxy \
     in between changes them, tell the operator of this gateway.";
const HELP_ID: &str = "Check the file's id. If the file is in ImageKit's media library, ask the \
                       operator of this gateway.";
const HELP_NOT_FOUND: &str = "Check the file's id. If the file is private, the request needs a \
                              token that names it in 'files', or a caller key of the operator of \
                              this gateway.";

impl GatewayError {
    /// Returns the error response for the caller.
    pub fn problem(&self) -> Problem {
        match self {
            Self::Auth(failure) => auth_problem(*failure),
            Self::BodyBroken => closing(never(
                ErrorCode::BadRequest,
                "The body of your request is incomplete or malformed.",
                HELP_BROKEN_BODY,
            )),
            Self::BodyTimeout => closing(problem(
                ErrorCode::RequestTimeout,
                "The body of your request did not arrive in time.",
                HELP_BODY,
                Retry::Maybe,
            )),
            Self::Forbidden(FileForbidden) => never(
                ErrorCode::Forbidden,
                "Your key or token does not cover this file.",
                "The operator of this gateway decides which files a key covers, and your own \
                 back end which files a token covers.",
            ),
            Self::Head(fault) => closing(head_problem(*fault)),
            Self::Internal => problem(
                ErrorCode::Internal,
                "The gateway failed to answer because of an internal error.",
                HELP_LATER,
                Retry::Maybe,
            ),
            Self::PurgePartial(_) => purge_partial(),
            Self::Route(fault) => route_problem(*fault),
            Self::ShuttingDown => closing(problem(
                ErrorCode::ShuttingDown,
                "The gateway is shutting down.",
                HELP_LATER,
                Retry::Elsewhere { wait: Duration::from_secs(1) },
            )),
            Self::Signature(fault) => signature_problem(*fault),
            Self::Throttled(throttled) => throttled_problem(*throttled),
            Self::Upstream(error) => upstream_problem(error),
            Self::UpstreamTimeout => timeout_problem(),
            Self::WebhooksBusy => problem(
                ErrorCode::Throttled,
                "This gateway is reading too many webhooks at once.",
                HELP_WAIT,
                Retry::After { wait: Duration::from_secs(1), bucket: bucket_of(WEBHOOK_QUOTA) },
            ),
        }
    }
}

/// Returns the problem of a purge that is done here, and that the rest of the fleet has not
/// received yet.
fn purge_partial() -> Problem {
    problem(
        ErrorCode::PurgePartial,
        "The purge is done here, but could not be sent to the other gateways yet.",
        "It is sent as soon as the fleet's Redis can be reached. Repeat the request to be sure, or ask the \
         operator of this gateway.",
        Retry::Elsewhere { wait: Duration::from_secs(1) },
    )
}

/// Returns the problem of a file that the upstream does not know, or that is hidden because it is
/// private. It stands in for a 404 of the upstream without a usable body.
pub fn not_found() -> Problem {
    never(ErrorCode::NotFound, "The requested file does not exist.", HELP_NOT_FOUND)
}

/// Returns the problem of a version that is not in its file's list.
pub fn version_not_found() -> Problem {
    never(
        ErrorCode::NotFound,
        "The requested file version does not exist.",
        "Check the version's id against the file's version list. If the list has it, tell the operator \
         of this gateway.",
    )
}

/// Returns the problem of an id that the upstream refuses. It stands in for a 400 of the upstream
/// without a usable body.
pub fn bad_request() -> Problem {
    never(ErrorCode::BadRequest, "Your request contains invalid fileId parameter.", HELP_ID)
}

fn throttled_problem(throttled: Throttled) -> Problem {
    let (reason, help) = match throttled.limit {
        Limit::Auth => ("Too many credentials from your address were wrong", HELP_AUTH),
        Limit::Address | Limit::Caller | Limit::Prefix | Limit::Webhook => {
            ("You have used up your quota for now", HELP_WAIT)
        }
    };
    problem(
        ErrorCode::Throttled,
        format!("{reason}: try again in {}.", seconds(throttled.return_wait())),
        help,
        Retry::After { wait: throttled.return_wait(), bucket: bucket_of(throttled.quota) },
    )
}

/// Returns the fields about the bucket of a quota.
fn bucket_of(quota: Quota) -> BucketFields {
    BucketFields {
        limit: Some(u64::from(quota.burst.get())),
        interval_millis: Some(whole_millis(quota.refill())),
    }
}

/// Returns the wait as a text in whole seconds, rounded up like `Retry-After`.
fn seconds(wait: Duration) -> String {
    format!("{} s", wait.as_millis().div_ceil(1000).max(1))
}
