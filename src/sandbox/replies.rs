//! Responses of the sandbox: JSON with a tag, and errors in ImageKit's form.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use http::header::ETAG;
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::server::{Reply, reply};

const HELP: &str = "For support kindly contact us at support@imagekit.io.";

/// Returns a 429. By ImageKit's schema, its body has a message and no help.
pub(super) fn too_many_requests() -> Reply {
    #[derive(Serialize)]
    struct Body {
        message: &'static str,
    }
    let message = "Your account has exceeded its rate limit.";
    json(StatusCode::TOO_MANY_REQUESTS, &Body { message })
}

/// Returns an error of the API, with the help text that ImageKit sends.
pub(super) fn error(status: StatusCode, message: &str) -> Reply {
    problem(status, message, HELP)
}

/// Returns an error of the control API, which ImageKit does not have.
pub(super) fn control_error(status: StatusCode, message: &str) -> Reply {
    problem(status, message, "Paths under /_sandbox/ exist only in the sandbox.")
}

fn problem(status: StatusCode, message: &str, help: &str) -> Reply {
    #[derive(Serialize)]
    struct Body<'a> {
        message: &'a str,
        help: &'a str,
    }
    json(status, &Body { message, help })
}

/// Returns a 200 with a weak entity tag in the form that Express makes: the length in hex and a
/// part of a digest.
pub(super) fn tagged(body: &impl Serialize) -> Reply {
    let mut reply = json(StatusCode::OK, body);
    let bytes = serde_json::to_vec(body).expect("our own structs always serialise");
    let digest = BASE64_STANDARD.encode(Sha256::digest(&bytes));
    let tag = format!("W/\"{:x}-{}\"", bytes.len(), digest.get(..27).unwrap_or_default());
    reply.headers_mut().insert(ETAG, HeaderValue::from_str(&tag).expect("hex and base64"));
    reply
}

pub(super) fn json(status: StatusCode, body: &impl Serialize) -> Reply {
    let body = serde_json::to_vec(body).expect("our own structs always serialise");
    reply(status, "application/json; charset=utf-8", body)
}
