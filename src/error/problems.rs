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

const HELP_BODY: &str = "Send no body with a read. A webhook's body may have up to 256 KiB.";
const HELP_BROKEN_BODY: &str =
    "Send as many bytes as Content-Length states, or chunks in the format of RFC 9112.";
const HELP_DOCS: &str = "The README of ikgate lists the requests that it accepts.";
const HELP_KEY: &str = "Send a caller key as 'Authorization: Bearer KEY', or as the user name of \
                        Basic authentication. The operator of this gateway issues keys.";
const HELP_TOKEN: &str = "Have your own back end sign a new token with the agreed algorithm \
                          and key. It needs exp, iat, sub, iss and aud, and is valid for an \
                          hour at most.";
pub(super) const HELP_LATER: &str =
    "Try again later. If the error persists, ask the operator of this gateway.";
pub(super) const HELP_OPERATOR: &str = "Only the operator of this gateway can fix this.";
pub(super) const HELP_WAIT: &str = "Wait as long as Retry-After says.";

impl GatewayError {
    /// Returns the error response for the caller.
    pub fn problem(&self) -> Problem {
        match self {
            Self::Auth(failure) => auth_problem(*failure),
            Self::BodyBroken => closing(never(
                StatusCode::BAD_REQUEST,
                "bad_request",
                "The body of your request is incomplete or malformed.",
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
                "The operator of this gateway decides which files a key covers, and your own \
                 back end which files a token covers.",
            ),
            Self::Head(fault) => closing(head_problem(*fault)),
            Self::Internal => Problem {
                status: StatusCode::INTERNAL_SERVER_ERROR,
                code: "internal",
                message: "The gateway failed to answer because of an internal error.".into(),
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
                message: "This gateway is reading too many webhooks at once.".into(),
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
        message: "The purge is done here, but could not be sent to the other gateways yet.".into(),
        help: "It is sent once the fleet's Redis can be reached. Repeat the request to be sure.",
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
        AuthFailure::NoKeys => unauthorized(
            "Your token cannot be verified yet: this gateway has no keys of the identity provider.",
            HELP_LATER,
        ),
        AuthFailure::Revoked => unauthorized("Your token has been revoked.", HELP_TOKEN),
        AuthFailure::TokenExpired => unauthorized("Your token has expired.", HELP_TOKEN),
        AuthFailure::TokenNotYetValid => unauthorized("Your token is not valid yet.", HELP_TOKEN),
        AuthFailure::TokenLifetime => {
            unauthorized("Your token is valid for more than an hour.", HELP_TOKEN)
        }
        AuthFailure::TokenTooLong => {
            unauthorized("Your token has more than 4096 bytes.", HELP_TOKEN)
        }
        AuthFailure::TokenFiles => {
            unauthorized("Your token's 'files' must be a list of at most 256 file ids.", HELP_TOKEN)
        }
        AuthFailure::TokenAudience | AuthFailure::TokenClaims | AuthFailure::TokenIssuer => {
            unauthorized(
                "Your token's aud, iss or another claim is missing or not accepted here.",
                HELP_TOKEN,
            )
        }
        AuthFailure::TokenAlgorithm
        | AuthFailure::TokenCritical
        | AuthFailure::TokenMalformed
        | AuthFailure::TokenSignature => unauthorized(
            "Your token's format, algorithm or signature is not accepted here.",
            HELP_TOKEN,
        ),
        AuthFailure::UnknownKey => unauthorized("Your caller key is not known here.", HELP_KEY),
        AuthFailure::UnknownKid => unauthorized(
            "Your token's 'kid' is missing, or names no key that is accepted here.",
            HELP_TOKEN,
        ),
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
        HeadFault::FieldPadded => "A field value of your request begins or ends with a blank.",
        HeadFault::HostInvalid => "Your request's Host field is not a host name.",
        HeadFault::HostMismatch => "Your request's Host field and :authority differ.",
        HeadFault::HostMissing => "Your request has no Host field.",
        HeadFault::HostRepeated => "Your request has more than one Host field.",
        HeadFault::Malformed => {
            return never(
                StatusCode::BAD_REQUEST,
                "bad_request",
                "Your request's head cannot be parsed.",
                "Send a request line and fields as RFC 9112 defines them, each ended by CRLF.",
            );
        }
        HeadFault::NotAscii => "Your request's target has bytes that are not ASCII.",
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
                "Send fewer fields: leave out cookies and others that this gateway does not use.",
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
                "This operation does not accept that method.",
                "Use GET, HEAD or OPTIONS.",
            )
        },
        RouteFault::WebhookMethod => Problem {
            allowed: Some(WEBHOOK_METHODS),
            ..never(
                StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                "A webhook must be sent with POST.",
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
            bad("This operation takes no query.", "Remove the '?' and the text after it.")
        }
        RouteFault::TrailingSlash => {
            bad("The path ends in a slash.", "Remove the slash at the end.")
        }
    }
}

fn signature_problem(fault: SignatureFault) -> Problem {
    let help = "Sign the delivery with the webhook's secret in ImageKit's dashboard. The operator \
                of this gateway must have configured the same secret.";
    let message = match fault {
        SignatureFault::Incorrect => {
            "The webhook's signature does not match its body and this gateway's secret."
        }
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
