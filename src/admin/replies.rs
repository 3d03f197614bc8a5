//! Responses of the admin listener: JSON, plain text, errors, and the fields that all of them have.

use std::borrow::Cow;

use http::header::{ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};

use crate::error::ErrorCode;
use crate::server::{Reply, reply};

/// Adds the security fields that browsers read, and `Cache-Control: no-store`.
pub(super) fn with_security_fields(mut reply: Reply) -> Reply {
    let fields = reply.headers_mut();
    fields.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    fields.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // The dashboard sets its own policy.
    let policy = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
    fields.entry(CONTENT_SECURITY_POLICY).or_insert(policy);
    reply
}

pub(super) fn not_allowed(allowed: &'static str) -> Reply {
    let mut reply = problem(
        ErrorCode::MethodNotAllowed,
        "The path does not support this method.",
        "Use a method that the Allow field lists.",
    );
    reply.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    reply
}

/// Body of an error response.
#[derive(Debug, Deserialize, Serialize)]
pub struct ErrorBody<'a> {
    pub message: Cow<'a, str>,
    pub help: Cow<'a, str>,
    pub code: Cow<'a, str>,
}

pub(super) fn problem(code: ErrorCode, message: &str, help: &str) -> Reply {
    let (message, help) = (message.into(), help.into());
    json(code.status(), &ErrorBody { message, help, code: code.as_str().into() })
}

pub(super) fn json(status: StatusCode, body: &impl Serialize) -> Reply {
    let mut body = serde_json::to_vec(body).expect("our own structs always serialise");
    body.push(b'\n');
    reply(status, "application/json; charset=utf-8", body)
}

pub(super) fn text(status: StatusCode, body: &'static str) -> Reply {
    reply(status, "text/plain; charset=utf-8", body)
}
