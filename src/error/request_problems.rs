//! Error responses to a request that this gateway does not accept as it was sent: its head cannot
//! be used, or no operation has its path, its method or its query.

use super::code::ErrorCode;
use super::problem::{HELP_LATER, never};
use crate::message::HeadFault;
use crate::response::{Problem, Retry};
use crate::route::{ALLOWED_METHODS, HELP_METHODS, RouteFault, WEBHOOK_METHODS};

pub(super) const HELP_BODY: &str = "Send no body with a read. A webhook's body may have up to 256 \
                                   KiB. The operator of this gateway can say which requests it \
                                   accepts.";
const HELP_DOCS: &str = "The README of ikgate lists the requests that it accepts. If a proxy in \
                         between changes them, tell the operator of this gateway.";
const HELP_ID_FORM: &str = "An id is 1 to 64 of A-Z a-z 0-9 _ - and is not percent-encoded. The \
                            operator of this gateway can say which requests it accepts.";

pub(super) fn head_problem(fault: HeadFault) -> Problem {
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

pub(super) fn route_problem(fault: RouteFault) -> Problem {
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
            "It serves GET /v1/files/{fileId}/versions, and /{versionId} below it: a base URL does not \
             contain v1 itself. The operator of this gateway can say under which URL.",
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
