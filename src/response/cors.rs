//! Which pages may read an answer (the Fetch standard's CORS protocol).
//!
//! It decides nothing about access: a request without a valid credential is refused whatever page
//! it comes from. It is worked out for each request and never stored.

use std::time::Duration;

use http::Uri;
use http::uri::Authority;

use crate::message::{
    ConstantField, FieldName, Fields, RequestFields, ResponseField, constant_field,
};

static EXPOSED: ConstantField = constant_field!(
    ExposeHeaders,
    "access-control-expose-headers",
    "ETag, Age, Cache-Status, RateLimit, RateLimit-Policy, Retry-After, Retry-After-Ms, \
     X-Should-Retry, X-Request-Id"
);
/// `*` stands for every field but Authorization, since no credentials of the browser's are used.
static REQUEST_FIELDS: ConstantField =
    constant_field!(AllowHeaders, "access-control-allow-headers", "Authorization, *");
static METHODS: ConstantField =
    constant_field!(AllowMethods, "access-control-allow-methods", "GET, HEAD");
static CROSS_ORIGIN: ConstantField =
    constant_field!(ResourcePolicy, "cross-origin-resource-policy", "cross-origin");

/// The origins whose pages may read answers.
#[derive(Clone, Debug)]
pub struct Cors {
    pub origins: Vec<AllowedOrigin>,
    /// How long a browser may remember a preflight's answer.
    pub max_age: Duration,
}

/// One origin, or all that differ in one label.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum AllowedOrigin {
    /// `https://app.example.com`, as browsers write it.
    Exactly(String),
    /// `https://` one label and this: `.example.com`, perhaps with a port.
    OneLabelAnd(String),
}

/// Neither an origin nor a pattern of one.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("must be an origin like \"https://app.example.com\" or \"https://*.example.com\"")]
pub struct InvalidOrigin;

impl AllowedOrigin {
    /// # Errors
    ///
    /// Whatever a browser would never send: a path, capitals, a default port, credentials; and a
    /// `*` that is anything but the first label of an `https` host.
    pub fn parse(text: &str) -> Result<Self, InvalidOrigin> {
        if let Some(rest) = text.strip_prefix("https://*") {
            let host = rest.strip_prefix('.').ok_or(InvalidOrigin)?;
            // Not a whole top-level domain.
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

/// Whether this is how a browser writes an origin (RFC 6454 section 6.2).
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

impl Cors {
    /// Returns the request's origin, if it is one that may read.
    pub(super) fn allowed<'a>(&self, fields: &RequestFields<'a>) -> Option<&'a [u8]> {
        let origin = fields.only(FieldName::Origin)?;
        let text = std::str::from_utf8(origin).ok()?;
        self.origins.iter().any(|allowed| allowed.is(text)).then_some(origin)
    }

    /// What lets a page of this origin read the answer.
    pub(super) fn write(origin: &[u8], fields: &mut impl Fields) {
        fields.put_bytes(ResponseField::AllowOrigin, origin);
        fields.put_constant(&EXPOSED);
        fields.put_constant(&CROSS_ORIGIN);
        fields.put_bytes(ResponseField::TimingAllowOrigin, origin);
    }

    /// What lets it send a request that is not simple, besides.
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
