//! Mapping from each [`GatewayError`] to the [`Problem`] that its caller receives: status, code,
//! text, retry.

use std::time::Duration;

use http::StatusCode;

use super::GatewayError;
use super::upstream::{timeout_problem, upstream_problem};
use crate::caller::{AuthFailure, FileForbidden};
use crate::invalidation::SignatureFault;
use crate::limit::Throttled;
use crate::message::HeadFault;
use crate::response::{BucketFields, Connection, Problem, Retry};
use crate::route::{ALLOWED_METHODS, RouteFault, WEBHOOK_METHODS};

const HELP_BODY: &str = "Reading needs no body; a webhook has at most 256 KiB.";
const HELP_BROKEN_BODY: &str =
    "Send as many bytes as Content-Length says, or chunks as RFC 9112 has them.";
const HELP_DOCS: &str = "See the README of ikgate for the requests that it answers.";
const HELP_KEY: &str = "Send a caller key as 'Authorization: Bearer KEY', or as the user name of \
                        Basic. The operator of this gateway issues them.";
const HELP_TOKEN: &str = "A token is signed by your own back end with the agreed algorithm and \
                          key; it needs exp, iat, sub, iss and aud, and lives for an hour at most.";
pub(super) const HELP_LATER: &str =
    "Try again later. If it lasts, ask the operator of this gateway.";
pub(super) const HELP_OPERATOR: &str = "Only the operator of this gateway can mend it.";
pub(super) const HELP_WAIT: &str = "Wait as long as Retry-After says.";

impl GatewayError {
    /// Returns the error response for the caller.
    pub fn problem(&self) -> Problem {
        match self {
            Self::Auth(failure) => auth_problem(*failure),
            Self::BodyBroken => closing(never(
                StatusCode::BAD_REQUEST,
                "bad_request",
                "The body of your request is not whole.",
                HELP_BROKEN_BODY,
            )),
            Self::BodyTimeout => closing(never(
                StatusCode::REQUEST_TIMEOUT,
                "request_timeout",
                "The body of your request did not arrive in time.",
                HELP_BODY,
            )),
            Self::Forbidden(FileForbidden) => never(
                StatusCode::FORBIDDEN,
                "forbidden",
                "Your key or token does not cover this file.",
                "A key's operator, or whoever signs your tokens, decides which files it covers.",
            ),
            Self::Head(fault) => closing(head_problem(*fault)),
            Self::Internal => Problem {
                status: StatusCode::INTERNAL_SERVER_ERROR,
                code: "internal",
                message: "The gateway failed to answer.".into(),
                help: HELP_LATER,
                retry: Retry::Maybe,
                allowed: None,
                connection: Connection::Keep,
            },
            Self::PurgePartial(_) => purge_partial(),
            Self::Route(fault) => route_problem(*fault),
            Self::ShuttingDown => closing(Problem {
                status: StatusCode::SERVICE_UNAVAILABLE,
                code: "shutting_down",
                message: "The gateway is shutting down.".into(),
                help: HELP_LATER,
                allowed: None,
                retry: Retry::Elsewhere { wait: Duration::from_secs(1) },
                connection: Connection::Keep,
            }),
            Self::Signature(fault) => signature_problem(*fault),
            Self::Throttled(throttled) => throttled_problem(*throttled),
            Self::Upstream(error) => upstream_problem(error),
            Self::UpstreamTimeout => timeout_problem(),
            Self::WebhooksBusy => Problem {
                status: StatusCode::TOO_MANY_REQUESTS,
                code: "throttled",
                message: "Too many webhooks are being read.".into(),
                help: HELP_WAIT,
                allowed: None,
                retry: Retry::After {
                    wait: Duration::from_secs(1),
                    bucket: BucketFields::default(),
                },
                connection: Connection::Keep,
            },
        }
    }
}

/// Returns the problem of a purge that is done here, and that the rest of the fleet has not
/// received yet.
fn purge_partial() -> Problem {
    Problem {
        status: StatusCode::SERVICE_UNAVAILABLE,
        code: "purge_partial",
        message: "The purge is done on this gateway, and the others could not be told yet.".into(),
        help: "They are told as soon as the fleet's Redis can be reached. Send it again to be sure.",
        allowed: None,
        retry: Retry::Elsewhere { wait: Duration::from_secs(1) },
        connection: Connection::Keep,
    }
}

/// Returns the problem of a file that the upstream does not know. It stands in for a 404 of the
/// upstream without a usable body.
pub fn not_found() -> Problem {
    never(
        StatusCode::NOT_FOUND,
        "not_found",
        "The requested file does not exist.",
        "Check the file's id.",
    )
}

/// Returns the problem of a version that is not in its file's list.
pub fn version_not_found() -> Problem {
    never(
        StatusCode::NOT_FOUND,
        "not_found",
        "The requested file version does not exist.",
        "Check the version's id against the file's version list.",
    )
}

/// Returns the problem of an id that the upstream refuses. It stands in for a 400 of the upstream
/// without a usable body.
pub fn bad_request() -> Problem {
    never(
        StatusCode::BAD_REQUEST,
        "bad_request",
        "Your request contains invalid fileId parameter.",
        "Check the file's id.",
    )
}

pub(super) fn never(
    status: StatusCode,
    code: &'static str,
    message: &'static str,
    help: &'static str,
) -> Problem {
    let (retry, connection) = (Retry::Never, Connection::Keep);
    Problem { status, code, message: message.into(), help, allowed: None, retry, connection }
}

fn closing(problem: Problem) -> Problem {
    Problem { connection: Connection::Close, ..problem }
}

fn auth_problem(failure: AuthFailure) -> Problem {
    let unauthorized =
        |message, help| never(StatusCode::UNAUTHORIZED, "unauthorized", message, help);
    match failure {
        AuthFailure::Duplicate => never(
            StatusCode::BAD_REQUEST,
            "bad_request",
            "Your request has more than one Authorization field.",
            HELP_KEY,
        ),
        AuthFailure::ImageKitKey => unauthorized(
            "Your request contains an ImageKit private key. This gateway does not take one.",
            "Treat that key as leaked: roll it in ImageKit's dashboard now. Then use a caller key \
             from the operator of this gateway.",
        ),
        AuthFailure::Malformed => {
            unauthorized("Your request's Authorization field cannot be read.", HELP_KEY)
        }
        AuthFailure::Missing => unauthorized("Your request contains no caller key.", HELP_KEY),
        AuthFailure::TokenExpired => unauthorized("Your token has expired.", HELP_TOKEN),
        AuthFailure::TokenNotYetValid => unauthorized("Your token is not valid yet.", HELP_TOKEN),
        AuthFailure::TokenLifetime => {
            unauthorized("Your token is valid for more than an hour.", HELP_TOKEN)
        }
        AuthFailure::TokenTooLong => {
            unauthorized("Your token has more than 4096 bytes.", HELP_TOKEN)
        }
        AuthFailure::TokenFiles => {
            unauthorized("Your token's 'files' are not at most 256 file ids.", HELP_TOKEN)
        }
        AuthFailure::TokenAudience | AuthFailure::TokenClaims | AuthFailure::TokenIssuer => {
            unauthorized("Your token was not made for this gateway.", HELP_TOKEN)
        }
        AuthFailure::TokenAlgorithm
        | AuthFailure::TokenCritical
        | AuthFailure::TokenMalformed
        | AuthFailure::TokenSignature => {
            unauthorized("Your token's signature is not accepted.", HELP_TOKEN)
        }
        AuthFailure::UnknownKey => unauthorized("Your caller key is not known here.", HELP_KEY),
    }
}

fn head_problem(fault: HeadFault) -> Problem {
    let message = match fault {
        HeadFault::AsteriskForm | HeadFault::AuthorityForm => {
            "Your request's target is not a path."
        }
        HeadFault::BodyTooLarge => {
            return never(
                StatusCode::PAYLOAD_TOO_LARGE,
                "too_large",
                "The body of your request is too long.",
                HELP_BODY,
            );
        }
        HeadFault::FieldPadded => "A field of your request begins or ends with a blank.",
        HeadFault::HostInvalid => "Your request's Host field is not a host name.",
        HeadFault::HostMismatch => "Your request's Host field and :authority are not the same.",
        HeadFault::HostMissing => "Your request has no Host field.",
        HeadFault::HostRepeated => "Your request has more than one Host field.",
        HeadFault::Malformed => {
            return never(
                StatusCode::BAD_REQUEST,
                "bad_request",
                "Your request's head cannot be parsed.",
                "Send a request line and fields as RFC 9112 has them, with CRLF at their ends.",
            );
        }
        HeadFault::NotAscii => "Your request's target has bytes beyond ASCII.",
        HeadFault::TimedOut => {
            return Problem {
                retry: Retry::Maybe,
                ..never(
                    StatusCode::REQUEST_TIMEOUT,
                    "request_timeout",
                    "The head of your request did not arrive in time.",
                    HELP_LATER,
                )
            };
        }
        HeadFault::TooLong => {
            return never(
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "too_large",
                "The head of your request has too many bytes or fields.",
                "Reading needs few fields; leave out cookies and what else is of no use here.",
            );
        }
        HeadFault::TransferEncoding => {
            "Your request has a Transfer-Encoding that is not accepted here."
        }
    };
    never(StatusCode::BAD_REQUEST, "bad_request", message, HELP_DOCS)
}

fn route_problem(fault: RouteFault) -> Problem {
    let bad = |message, help| never(StatusCode::BAD_REQUEST, "bad_request", message, help);
    match fault {
        RouteFault::BadId => bad(
            "Your request contains invalid fileId parameter.",
            "A file id is 1 to 64 of A-Z a-z 0-9 _ - and is not percent-encoded.",
        ),
        RouteFault::BadVersionId => bad(
            "Your request contains invalid versionId parameter.",
            "A version id is 1 to 64 of A-Z a-z 0-9 _ - and is not percent-encoded.",
        ),
        RouteFault::Method => Problem {
            allowed: Some(ALLOWED_METHODS),
            ..never(
                StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                "This gateway only reads.",
                "Use GET, HEAD or OPTIONS.",
            )
        },
        RouteFault::WebhookMethod => Problem {
            allowed: Some(WEBHOOK_METHODS),
            ..never(
                StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                "Webhooks are posted.",
                "Use POST.",
            )
        },
        RouteFault::NoRoute => never(
            StatusCode::NOT_FOUND,
            "no_route",
            "This gateway does not serve that path.",
            "It serves GET /v1/files/{fileId}/versions, and /{versionId} below it.",
        ),
        RouteFault::Query => {
            bad("This operation takes no query.", "Leave out '?' and what follows.")
        }
        RouteFault::TrailingSlash => {
            bad("The path ends in a slash.", "Leave the slash at the end out.")
        }
    }
}

fn signature_problem(fault: SignatureFault) -> Problem {
    let help = "Deliveries are signed with the secret of the webhook in ImageKit's dashboard; the \
                operator of this gateway has configured one.";
    let message = match fault {
        SignatureFault::Incorrect => "The webhook's signature is not of this body and secret.",
        SignatureFault::Malformed => "The webhook's signature cannot be read.",
        SignatureFault::Missing => "The webhook is not signed.",
        SignatureFault::OutOfTolerance => "The webhook was signed too long ago, or in the future.",
    };
    never(StatusCode::UNAUTHORIZED, "unauthorized", message, help)
}

fn throttled_problem(throttled: Throttled) -> Problem {
    let refill = throttled.quota.refill().as_nanos().div_ceil(1_000_000);
    let bucket = BucketFields {
        limit: Some(u64::from(throttled.quota.burst.get())),
        interval_millis: u64::try_from(refill).ok(),
    };
    Problem {
        status: StatusCode::TOO_MANY_REQUESTS,
        code: "throttled",
        message: "You have used up your quota for now.".into(),
        help: HELP_WAIT,
        retry: Retry::After { wait: throttled.wait, bucket },
        allowed: None,
        connection: Connection::Keep,
    }
}
