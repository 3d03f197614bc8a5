//! Error responses to a refused credential: the key or token of a caller, or the signature of a
//! webhook. A text names what is wrong with the credential, and never its value.

use super::code::ErrorCode;
use super::problem::{HELP_LATER, never, problem};
use crate::caller::AuthFailure;
use crate::invalidation::SignatureFault;
use crate::response::{Problem, Retry};

const HELP_KEY: &str = "Send a caller key, without a blank or a line break in it, as \
                        'Authorization: Bearer KEY', or as the user name of Basic \
                        authentication. A page sends 'Authorization: Bearer TOKEN', and \
                        never a key. The operator of this gateway issues keys.";
const HELP_ONLY_TOKENS: &str = "A page sends 'Authorization: Bearer TOKEN', with the token of the \
                                service that signs them. The operator of this gateway knows which \
                                service that is.";
const HELP_TOKEN: &str = "Get a new token from the service that signs them. It needs exp, iat, \
                          sub, iss and aud, and is valid for an hour at most. The operator of \
                          this gateway knows what it accepts.";

pub(super) fn auth_problem(failure: AuthFailure) -> Problem {
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

pub(super) fn signature_problem(fault: SignatureFault) -> Problem {
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
