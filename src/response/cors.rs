//! CORS: decides which web pages may read a response (the Fetch standard's CORS protocol).
//!
//! CORS decides nothing about access: a request without a valid credential is refused, even if its
//! page is allowed. The fields are computed for each request and never stored.

use std::time::Duration;

use http::Uri;
use http::uri::Authority;

use crate::message::{
    ConstantField, FieldName, Fields, RequestFields, RequestHead, ResponseField, constant_field,
    is_host_of_origin,
};

static EXPOSED: ConstantField = constant_field!(
    ExposeHeaders,
    "access-control-expose-headers",
    "ETag, Age, Cache-Status, RateLimit, RateLimit-Policy, Retry-After, Retry-After-Ms, \
     X-Should-Retry, X-Request-Id"
);
/// `*` covers every field except `Authorization`, because pages use no browser credentials here.
static REQUEST_FIELDS: ConstantField =
    constant_field!(AllowHeaders, "access-control-allow-headers", "Authorization, *");
static METHODS: ConstantField =
    constant_field!(AllowMethods, "access-control-allow-methods", "GET, HEAD");
static CROSS_ORIGIN: ConstantField =
    constant_field!(ResourcePolicy, "cross-origin-resource-policy", "cross-origin");

/// Origins whose pages may read responses.
#[derive(Clone, Debug)]
pub struct Cors {
    pub origins: Vec<AllowedOrigin>,
    /// Time for which a browser may reuse the response to a preflight.
    pub max_age: Duration,
}

/// Whether a page sent the request, and may read the response.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PageAccess {
    Allowed,
    /// No page sent it, or one that this gateway's host serves itself.
    NotNeeded,
    Refused,
}

/// Hosts whose pages under development may be allowed on any port. Each is this machine.
const DEVELOPMENT: [&str; 2] = ["http://localhost", "http://127.0.0.1"];

/// Allowed origin: one origin, or all origins that differ in one label or in the port.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum AllowedOrigin {
    /// Origin without its port, such as `http://localhost`: all ports of this machine.
    AnyPortOf(&'static str),
    /// One origin as browsers write it, such as `https://app.example.com`.
    Exactly(String),
    /// Rest of a pattern: `https://`, one label, then this text, such as `.example.com`, perhaps
    /// with a port.
    OneLabelAnd(String),
}

/// Error of a text that is neither an origin nor a pattern of origins.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "must be an origin like \"https://app.example.com\", \"https://*.example.com\" or \
     \"http://localhost:*\""
)]
pub struct InvalidOrigin;

impl AllowedOrigin {
    /// Parses an origin or a pattern.
    ///
    /// # Errors
    ///
    /// A text that a browser never sends as an origin: with a path, capitals, a default port or
    /// credentials. Also a `*` that is neither the whole first label of an `https` host nor the
    /// port of `http://localhost` or `http://127.0.0.1`.
    pub fn parse(text: &str) -> Result<Self, InvalidOrigin> {
        let any_port = text.strip_suffix(":*");
        if let Some(host) = DEVELOPMENT.into_iter().find(|host| any_port == Some(*host)) {
            return Ok(Self::AnyPortOf(host));
        }
        if let Some(rest) = text.strip_prefix("https://*") {
            let host = rest.strip_prefix('.').ok_or(InvalidOrigin)?;
            // The pattern must not cover a whole top-level domain.
            let two_labels = host.split(':').next().is_some_and(|host| host.contains('.'));
            if !two_labels || !is_origin(&format!("https://{host}")) {
                return Err(InvalidOrigin);
            }
            return Ok(Self::OneLabelAnd(rest.to_owned()));
        }
        if is_origin(text) { Ok(Self::Exactly(text.to_owned())) } else { Err(InvalidOrigin) }
    }

    fn is(&self, origin: &str) -> bool {
        match self {
            Self::AnyPortOf(host) => origin.strip_prefix(host).is_some_and(is_port),
            Self::Exactly(own) => own == origin,
            Self::OneLabelAnd(rest) => {
                let label = origin
                    .strip_prefix("https://")
                    .and_then(|host| host.strip_suffix(rest.as_str()));
                label.is_some_and(|label| {
                    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
                    !label.is_empty() && label.bytes().all(plain)
                })
            }
        }
    }
}

/// Returns whether the text is `":" port`, or empty for the default port.
fn is_port(text: &str) -> bool {
    match text.strip_prefix(':') {
        Some(digits) => !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()),
        None => text.is_empty(),
    }
}

/// Returns whether the text is an origin as browsers write it (RFC 6454 section 6.2).
fn is_origin(text: &str) -> bool {
    let Ok(uri) = text.parse::<Uri>() else { return false };
    let default_port = match uri.scheme_str() {
        Some("https") => 443,
        Some("http") => 80,
        _ => return false,
    };
    let Some(authority) = uri.authority().map(Authority::as_str) else { return false };
    let written = text.split_once("://").map(|(_, host)| host);
    written == Some(authority)
        && !authority.contains(['@', '*'])
        && !authority.bytes().any(|byte| byte.is_ascii_uppercase())
        && uri.port_u16() != Some(default_port)
        && uri.host().is_some_and(|host| !host.is_empty())
}

impl PageAccess {
    /// Judges the page that sent a request. Without `cors`, no page of another origin is allowed.
    pub fn judge(cors: Option<&Cors>, head: &RequestHead<'_>) -> Self {
        let Some(origin) = head.fields.all(FieldName::Origin).next() else {
            return Self::NotNeeded;
        };
        if cors.is_some_and(|cors| cors.allowed(&head.fields).is_some()) {
            return Self::Allowed;
        }
        let is_own = head.host().is_some_and(|host| is_host_of_origin(origin, host));
        if is_own { Self::NotNeeded } else { Self::Refused }
    }
}

impl Cors {
    /// Returns the request's origin, if its pages may read responses.
    fn allowed<'a>(&self, fields: &RequestFields<'a>) -> Option<&'a [u8]> {
        let origin = fields.only(FieldName::Origin)?;
        let text = std::str::from_utf8(origin).ok()?;
        self.origins.iter().any(|allowed| allowed.is(text)).then_some(origin)
    }

    /// Writes the fields that let a page of this origin read the response.
    pub(super) fn write(origin: &[u8], fields: &mut impl Fields) {
        fields.put_bytes(ResponseField::AllowOrigin, origin);
        fields.put_constant(&EXPOSED);
        fields.put_constant(&CROSS_ORIGIN);
        fields.put_bytes(ResponseField::TimingAllowOrigin, origin);
    }

    /// Writes the further fields that let the page send a request that is not simple.
    pub(super) fn write_preflight(&self, fields: &mut impl Fields) {
        fields.put_constant(&METHODS);
        fields.put_constant(&REQUEST_FIELDS);
        fields.put_number(ResponseField::MaxAge, self.max_age.as_secs());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::request::tests::{fields, map};

    fn allows(pattern: &str, origin: &str) -> bool {
        let origins = vec![AllowedOrigin::parse(pattern).unwrap()];
        let cors = Cors { origins, max_age: Duration::ZERO };
        cors.allowed(&fields(&map(&[("origin", origin.as_bytes())]))).is_some()
    }

    #[test]
    fn an_origin_is_allowed_as_it_is_written_and_no_look_alike() {
        let app = "https://app.example.com";
        assert!(allows(app, app));
        for origin in [
            "null",
            "",
            "http://app.example.com",
            "https://app.example.com:444",
            "https://app.example.com.evil.example",
            "https://evil-app.example.com",
            "https://xapp.example.com",
            "https://example.com",
            "https://app.example.co",
            "https://app.example.com/",
        ] {
            assert!(!allows(app, origin), "{origin}");
        }
        assert!(allows("http://localhost:3000", "http://localhost:3000"));
        assert!(!allows("http://localhost:3000", "http://localhost:30001"));
    }

    #[test]
    fn a_star_is_exactly_one_label_of_https() {
        let any = "https://*.example.com";
        for origin in ["https://a.example.com", "https://preview-7.example.com"] {
            assert!(allows(any, origin), "{origin}");
        }
        for origin in [
            "https://example.com",
            "https://.example.com",
            "https://a.b.example.com",
            "https://a.example.com:8443",
            "http://a.example.com",
            "https://evil.example/.example.com",
            "https://evil.example#.example.com",
            "https://evil.example:1.example.com",
            "https://aexample.com",
            "https://u@a.example.com",
        ] {
            assert!(!allows(any, origin), "{origin}");
        }
        assert!(allows("https://*.example.com:8443", "https://a.example.com:8443"));
    }

    #[test]
    fn pages_of_this_machine_may_have_any_port() {
        for origin in ["http://localhost", "http://localhost:3000", "http://localhost:65535"] {
            assert!(allows("http://localhost:*", origin), "{origin}");
        }
        assert!(allows("http://127.0.0.1:*", "http://127.0.0.1:5173"));
        for origin in [
            "https://localhost:3000",
            "http://127.0.0.1:3000",
            "http://localhost:",
            "http://localhost:3000.example.com",
            "http://localhost:30:00",
            "http://localhost.example.com:3000",
            "http://localhostile:3000",
            "http://app.localhost:3000",
            "http://localhost:*",
        ] {
            assert!(!allows("http://localhost:*", origin), "{origin}");
        }
    }

    #[test]
    fn what_no_browser_sends_is_no_origin() {
        for text in [
            "",
            "*",
            "null",
            "app.example.com",
            "https://",
            "https://a.example.com/",
            "https://a.example.com/x",
            "https://A.example.com",
            "https://a.example.com:443",
            "http://a.example.com:80",
            "https://u@a.example.com",
            "https://a.*.com",
            "https://*",
            "https://*.com",
            "https://*.*.example.com",
            "http://*.example.com",
            "https://*example.com",
            "ftp://a.example.com",
            "https://a.example.com?x",
            "https://localhost:*",
            "http://app.example.com:*",
            "http://[::1]:*",
            "http://localhost:3*",
        ] {
            assert_eq!(AllowedOrigin::parse(text), Err(InvalidOrigin), "{text}");
        }
    }

    #[test]
    fn two_origins_are_none() {
        let origins = vec![AllowedOrigin::parse("https://a.example").unwrap()];
        let cors = Cors { origins, max_age: Duration::ZERO };
        let line = ("origin", &b"https://a.example"[..]);
        assert!(cors.allowed(&fields(&map(&[line]))).is_some());
        assert_eq!(cors.allowed(&fields(&map(&[line, line]))), None);
    }
}
