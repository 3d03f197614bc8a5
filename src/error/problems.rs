//! Mapping from each [`GatewayError`] to the [`Problem`] that its caller receives: status, code,
//! text, retry.

use std::time::Duration;

use super::code::ErrorCode;
use super::gateway_error::GatewayError;
use super::problem::{HELP_LATER, HELP_WAIT, closing, never, problem};
use super::upstream::{timeout_problem, upstream_problem};
use crate::caller::{AuthFailure, FileForbidden};
use crate::invalidation::SignatureFault;
use crate::limit::Throttled;
use crate::message::HeadFault;
use crate::response::{BucketFields, Problem, Retry};
use crate::route::{ALLOWED_METHODS, HELP_METHODS, RouteFault, WEBHOOK_METHODS};

const HELP_BODY: &str = "Send no body with a read. A webhook's body may have up to 256 KiB. The \
                         operator of this gateway can say which requests it accepts.";
const HELP_BROKEN_BODY: &str = "Send as many bytes as Content-Length states, or chunks in the format of RFC 9112. If a proxy \
     in between changes them, tell the operator of this gateway.";
const HELP_DOCS: &str = "The README of ikgate lists the requests that it accepts. If a proxy in \
                         between changes them, tell the operator of this gateway.";
const HELP_ID: &str = "Check the file's id. If the file is in ImageKit's media library, ask the \
                       operator of this gateway.";
const HELP_ID_FORM: &str = "An id is 1 to 64 of A-Z a-z 0-9 _ - and is not percent-encoded. The \
                            operator of this gateway can say which requests it accepts.";
const HELP_KEY: &str = "Send a caller key as 'Authorization: Bearer KEY', or as the user name of \
                        Basic authentication. A page sends 'Authorization: Bearer TOKEN', and \
                        never a key. The operator of this gateway issues keys.";
const HELP_NOT_FOUND: &str = "Check the file's id. If the file is private, the request needs a \
                              token that names it in 'files', or a caller key of the operator of \
                              this gateway.";
const HELP_ONLY_TOKENS: &str = "A page sends 'Authorization: Bearer TOKEN', with the token of the \
                                service that signs them. The operator of this gateway knows which \
                                service that is.";
const HELP_TOKEN: &str = "Get a new token from the service that signs them. It needs exp, iat, \
                          sub, iss and aud, and is valid for an hour at most. The operator of \
                          this gateway knows what it accepts.";

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
                Retry::After { wait: Duration::from_secs(1), bucket: BucketFields::default() },
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

fn auth_problem(failure: AuthFailure) -> Problem {
    let unauthorized = |message, help| never(ErrorCode::Unauthorized, message, help);
    match failure {
        AuthFailure::Duplicate => never(
            ErrorCode::BadRequest,
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
        AuthFailure::NoCallers => unauthorized(
            "Your request contains a key, and this gateway takes only tokens.",
            HELP_ONLY_TOKENS,
        ),
        AuthFailure::NoKeys => problem(
            ErrorCode::Unauthorized,
            "Your token cannot be verified yet: this gateway has no keys of the identity provider.",
            HELP_LATER,
            Retry::Maybe,
        ),
        AuthFailure::TokensOff => unauthorized(
            "Your request contains a token, and this gateway takes none: it has no [jwt].",
            "Ask the operator of this gateway to configure [jwt], or send the request without a \
             token. A page must not hold a caller key.",
        ),
        AuthFailure::UnknownKey => unauthorized("Your caller key is not known here.", HELP_KEY),
        failure => unauthorized(token_message(failure), HELP_TOKEN),
    }
}

/// Returns what is wrong with a token, by the name of the claim or header parameter. Never its
/// value.
fn token_message(failure: AuthFailure) -> &'static str {
    match failure {
        AuthFailure::Revoked => "Your token has been revoked.",
        AuthFailure::TokenAlgorithm => "Your token's 'alg' is not accepted here.",
        AuthFailure::TokenAudience => "Your token's 'aud' is not accepted here.",
        AuthFailure::TokenClaims => {
            "Your token's claims cannot be read: they must be one JSON object."
        }
        AuthFailure::TokenCritical => "Your token's header has 'crit', which is not accepted here.",
        AuthFailure::TokenExpired => "Your token has expired.",
        AuthFailure::TokenExp => {
            "Your token's 'exp' is missing, or no number of seconds since 1970."
        }
        AuthFailure::TokenFiles => "Your token's 'files' must be a list of at most 256 file ids.",
        AuthFailure::TokenIat => {
            "Your token's 'iat' is missing, or no number of seconds since 1970."
        }
        AuthFailure::TokenIssuer => "Your token's 'iss' is not accepted here.",
        AuthFailure::TokenJti => "Your token's 'jti' must be text.",
        AuthFailure::TokenLifetime => {
            "Your token's 'exp' must be after its 'iat', by an hour at most."
        }
        AuthFailure::TokenNbf => "Your token's 'nbf' must be a number of seconds since 1970.",
        AuthFailure::TokenNotYetValid => {
            "Your token is not valid yet: its 'iat' or 'nbf', in seconds since 1970, is in the future."
        }
        AuthFailure::TokenSignature => {
            "Your token's signature is not of a key that is accepted here."
        }
        AuthFailure::TokenSubject => "Your token's 'sub' is missing, empty or not text.",
        AuthFailure::TokenTooLong => "Your token has more than 4096 bytes.",
        AuthFailure::UnknownKid => {
            "Your token's 'kid' is missing, or names no key that is accepted here."
        }
        AuthFailure::Duplicate
        | AuthFailure::ImageKitKey
        | AuthFailure::Malformed
        | AuthFailure::Missing
        | AuthFailure::NoCallers
        | AuthFailure::NoKeys
        | AuthFailure::TokenMalformed
        | AuthFailure::TokensOff
        | AuthFailure::UnknownKey => "Your token is not a JSON Web Token that can be read.",
    }
}

fn head_problem(fault: HeadFault) -> Problem {
    let message = match fault {
        HeadFault::AsteriskForm | HeadFault::AuthorityForm => {
            "Your request's target is not a path."
        }
        HeadFault::BodyTooLarge => {
            return never(
                ErrorCode::BodyTooLarge,
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
                ErrorCode::BadRequest,
                "Your request's head cannot be parsed.",
                "Send a request line and fields as RFC 9112 defines them, each ended by CRLF. If a \
                 proxy in between changes them, tell the operator of this gateway.",
            );
        }
        HeadFault::NotAscii => "Your request's target has bytes that are not ASCII.",
        HeadFault::TimedOut => {
            return Problem {
                retry: Retry::Maybe,
                ..never(
                    ErrorCode::RequestTimeout,
                    "The head of your request did not arrive in time.",
                    HELP_LATER,
                )
            };
        }
        HeadFault::TooLong => {
            return never(
                ErrorCode::HeadTooLarge,
                "The head of your request has too many bytes or fields.",
                "Send fewer fields: leave out cookies and others that this gateway does not use. The \
                 operator of this gateway sets how long a head may be.",
            );
        }
        HeadFault::TransferEncoding => {
            "Your request has a Transfer-Encoding that is not accepted here."
        }
    };
    never(ErrorCode::BadRequest, message, HELP_DOCS)
}

fn route_problem(fault: RouteFault) -> Problem {
    let bad = |message, help| never(ErrorCode::BadRequest, message, help);
    match fault {
        RouteFault::BadId => bad("Your request contains invalid fileId parameter.", HELP_ID_FORM),
        RouteFault::BadVersionId => {
            bad("Your request contains invalid versionId parameter.", HELP_ID_FORM)
        }
        RouteFault::HelpMethod => not_allowed(
            HELP_METHODS,
            "This document can only be read.",
            "Use GET or HEAD. The operator of this gateway can say which requests it accepts.",
        ),
        RouteFault::Method => not_allowed(
            ALLOWED_METHODS,
            "This operation does not accept that method.",
            "Use GET, HEAD or OPTIONS. The operator of this gateway can say which requests it accepts.",
        ),
        RouteFault::WebhookMethod => not_allowed(
            WEBHOOK_METHODS,
            "A webhook must be sent with POST.",
            "Use POST. The operator of this gateway can say which requests it accepts.",
        ),
        RouteFault::NoRoute => never(
            ErrorCode::NoRoute,
            "This gateway does not serve that path.",
            "It serves GET /v1/files/{fileId}/versions, and /{versionId} below it. The operator of this \
             gateway can say under which URL.",
        ),
        RouteFault::Query => bad(
            "This operation takes no query.",
            "Remove the '?' and the text after it. The operator of this gateway can say which requests \
             it accepts.",
        ),
        RouteFault::TrailingSlash => bad(
            "The path ends in a slash.",
            "Remove the slash at the end. The operator of this gateway can say which requests it \
             accepts.",
        ),
    }
}

/// Returns the problem of a path that accepts only the methods `allowed`.
fn not_allowed(allowed: &'static str, message: &'static str, help: &'static str) -> Problem {
    let problem = never(ErrorCode::MethodNotAllowed, message, help);
    Problem { allowed: Some(allowed), ..problem }
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
    never(ErrorCode::Unauthorized, message, help)
}

fn throttled_problem(throttled: Throttled) -> Problem {
    let refill = throttled.quota.refill().as_nanos().div_ceil(1_000_000);
    let bucket = BucketFields {
        limit: Some(u64::from(throttled.quota.burst.get())),
        interval_millis: u64::try_from(refill).ok(),
    };
    problem(
        ErrorCode::Throttled,
        format!(
            "You have used up your quota for now: try again in {}.",
            seconds(throttled.return_wait())
        ),
        HELP_WAIT,
        Retry::After { wait: throttled.return_wait(), bucket },
    )
}

/// Returns the wait as a text in whole seconds, rounded up like `Retry-After`.
fn seconds(wait: Duration) -> String {
    format!("{} s", wait.as_millis().div_ceil(1000).max(1))
}
