//! Names of the gateway's response fields, as a closed set of numbers. So `field_map` compares two
//! lists of fields by their numbers.

use http::HeaderValue;
use http::header::{self, HeaderName};

macro_rules! response_fields {
    ($($field:ident = $name:literal, $header:expr;)+) => {
        /// Field of a response.
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        #[repr(u8)]
        pub enum ResponseField {
            $($field,)+
        }

        impl ResponseField {
            #[cfg(test)]
            pub(super) const ALL: &[Self] = &[$(Self::$field,)+];

            pub fn name(self) -> HeaderName {
                match self {
                    $(Self::$field => $header,)+
                }
            }

            /// Returns the beginning of the field's line in HTTP/1.1.
            pub(super) fn prefix(self) -> &'static str {
                match self {
                    $(Self::$field => concat!($name, ": "),)+
                }
            }
        }
    };
}

response_fields! {
    Age = "age", header::AGE;
    Allow = "allow", header::ALLOW;
    AllowHeaders = "access-control-allow-headers", header::ACCESS_CONTROL_ALLOW_HEADERS;
    AllowMethods = "access-control-allow-methods", header::ACCESS_CONTROL_ALLOW_METHODS;
    AllowOrigin = "access-control-allow-origin", header::ACCESS_CONTROL_ALLOW_ORIGIN;
    CacheControl = "cache-control", header::CACHE_CONTROL;
    CacheStatus = "cache-status", HeaderName::from_static("cache-status");
    Connection = "connection", header::CONNECTION;
    ContentEncoding = "content-encoding", header::CONTENT_ENCODING;
    ContentLength = "content-length", header::CONTENT_LENGTH;
    ContentSecurityPolicy = "content-security-policy", header::CONTENT_SECURITY_POLICY;
    ContentType = "content-type", header::CONTENT_TYPE;
    ContentTypeOptions = "x-content-type-options", header::X_CONTENT_TYPE_OPTIONS;
    Date = "date", header::DATE;
    ETag = "etag", header::ETAG;
    ExposeHeaders = "access-control-expose-headers", header::ACCESS_CONTROL_EXPOSE_HEADERS;
    MaxAge = "access-control-max-age", header::ACCESS_CONTROL_MAX_AGE;
    RateLimit = "ratelimit", HeaderName::from_static("ratelimit");
    RateLimitPolicy = "ratelimit-policy", HeaderName::from_static("ratelimit-policy");
    RequestId = "x-request-id", HeaderName::from_static("x-request-id");
    ResourcePolicy = "cross-origin-resource-policy",
        HeaderName::from_static("cross-origin-resource-policy");
    RetryAfter = "retry-after", header::RETRY_AFTER;
    RetryAfterMillis = "retry-after-ms", HeaderName::from_static("retry-after-ms");
    ShouldRetry = "x-should-retry", HeaderName::from_static("x-should-retry");
    TimingAllowOrigin = "timing-allow-origin", HeaderName::from_static("timing-allow-origin");
    Vary = "vary", header::VARY;
    WwwAuthenticate = "www-authenticate", header::WWW_AUTHENTICATE;
    XRateLimitInterval = "x-ratelimit-interval", HeaderName::from_static("x-ratelimit-interval");
    XRateLimitLimit = "x-ratelimit-limit", HeaderName::from_static("x-ratelimit-limit");
    XRateLimitReset = "x-ratelimit-reset", HeaderName::from_static("x-ratelimit-reset");
}

/// Field whose value never changes, in each form in which it is sent.
pub struct ConstantField {
    pub(super) field: ResponseField,
    pub(super) value: HeaderValue,
    /// Line of the field in HTTP/1.1.
    pub(super) line: &'static str,
}

impl ConstantField {
    /// Declares a field. `line` is the name, `": "`, `value` and CRLF, as `constant_field` writes
    /// it.
    pub const fn new(field: ResponseField, value: &'static str, line: &'static str) -> Self {
        Self { field, value: HeaderValue::from_static(value), line }
    }

    /// Returns whether both forms agree. The declaration states the name twice.
    pub(super) fn is_consistent(&self) -> bool {
        let value = self.line.strip_prefix(self.field.prefix());
        value.and_then(|value| value.strip_suffix("\r\n")).map(str::as_bytes)
            == Some(self.value.as_bytes())
    }
}

/// Declares a [`ConstantField`] by its field, its name and its value.
macro_rules! constant_field {
    ($field:ident, $name:literal, $value:literal) => {
        $crate::message::ConstantField::new(
            $crate::message::ResponseField::$field,
            $value,
            concat!($name, ": ", $value, "\r\n"),
        )
    };
}
pub(crate) use constant_field;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_forms_of_a_name_are_the_same() {
        for field in ResponseField::ALL {
            assert_eq!(field.prefix(), format!("{}: ", field.name()));
        }
    }
}
