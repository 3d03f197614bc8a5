//! Interpretation of the upstream's response, once its body was read.
//!
//! It decides which kind of answer the response is, and whether the cache may store it.

use std::time::Duration;

use bytes::Bytes;
use http::header::{AGE, CACHE_CONTROL, VARY};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::body::BodyPermit;
use super::error::{BadAnswer, UpstreamError, UpstreamOutcome};
use super::rate_fields::delta_seconds;

/// Response of the upstream that the gateway can pass on.
#[derive(Debug)]
pub struct UpstreamResponse {
    pub kind: ResponseKind,
    pub storable: Storable,
    /// Time at which the call left, on the monotonic clock, minus the response's `Age`.
    pub as_of: Duration,
    /// Bytes that the body occupies in the limit for bodies in flight. Keep it until the body is
    /// stored.
    pub permit: BodyPermit,
}

/// Kind of an answer, by status, with its body.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ResponseKind {
    /// 400, with its body if that is an error object in ImageKit's form.
    BadRequest(Option<Bytes>),
    /// 200 with a JSON array.
    List(Bytes),
    /// 404, with its body if that is an error object in ImageKit's form.
    NotFound(Option<Bytes>),
}

/// Whether the upstream allows the cache to store the answer (RFC 9111 section 3).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Storable {
    /// Store it, but do not transform it: no other content coding (`no-transform`, RFC 9110 section
    /// 7.7).
    Untransformed,
    /// Do not store it.
    No,
    /// Store it; other content codings may be made of it.
    Yes,
}

impl UpstreamResponse {
    pub(super) fn outcome(&self) -> UpstreamOutcome {
        match self.kind {
            ResponseKind::BadRequest(_) => UpstreamOutcome::BadRequest,
            ResponseKind::List(_) => UpstreamOutcome::Ok,
            ResponseKind::NotFound(_) => UpstreamOutcome::NotFound,
        }
    }

    /// Classifies a response that was read as a whole. Any status but 200, 400 and 404 is an error.
    /// `sent`: time at which the call left, on the monotonic clock.
    pub(super) fn judge(
        status: StatusCode,
        fields: &HeaderMap,
        body: Bytes,
        permit: BodyPermit,
        sent: Duration,
    ) -> Result<Self, UpstreamError> {
        let kind = ResponseKind::judge(status, body)?;
        // The upstream's `Age` adds to the age of the response (RFC 9111 section 4.2.3).
        let as_of = sent.saturating_sub(age(fields));
        Ok(Self { kind, storable: storable(fields), as_of, permit })
    }
}

impl ResponseKind {
    fn judge(status: StatusCode, body: Bytes) -> Result<Self, UpstreamError> {
        match status {
            StatusCode::OK if is_array(&body) => Ok(Self::List(body)),
            StatusCode::OK => Err(UpstreamError::Bad(BadAnswer::NotAnArray)),
            StatusCode::BAD_REQUEST => Ok(Self::BadRequest(error_object(body))),
            StatusCode::NOT_FOUND => Ok(Self::NotFound(error_object(body))),
            status => Err(UpstreamError::Bad(BadAnswer::Status { status })),
        }
    }
}

/// Returns `Age`: the first member of its first line. Zero if that is not a number (RFC 9111
/// section 5.1).
fn age(fields: &HeaderMap) -> Duration {
    let line = fields.get(AGE).map(HeaderValue::as_bytes).unwrap_or_default();
    line.split(|&byte| byte == b',').next().and_then(delta_seconds).unwrap_or_default()
}

fn storable(fields: &HeaderMap) -> Storable {
    let lines = fields.get_all(CACHE_CONTROL).iter();
    let directives: Vec<_> = lines.flat_map(|line| members(line.as_bytes())).collect();
    let says = |name: &str| {
        let is = |directive: &&[u8]| {
            let own = directive.split(|&byte| byte == b'=').next().unwrap_or_default();
            own.trim_ascii().eq_ignore_ascii_case(name.as_bytes())
        };
        directives.iter().any(is)
    };
    // `Vary: *` matches no other request (RFC 9111 section 4.1).
    let mut varies =
        fields.get_all(VARY).iter().flat_map(|value| value.as_bytes().split(|&byte| byte == b','));
    if says("no-store") || says("private") || varies.any(|member| member.trim_ascii() == b"*") {
        Storable::No
    } else if says("no-transform") {
        Storable::Untransformed
    } else {
        Storable::Yes
    }
}

/// Splits a list into its members.
///
/// A quoted string is one token, even with commas in it (RFC 9110 section 5.6.4). A quote that is
/// never closed is not a quoted string.
fn members(line: &[u8]) -> Vec<&[u8]> {
    let (mut quoted, mut escaped) = (false, false);
    let ends = |&byte: &u8| {
        let is_escaped = escaped;
        escaped = quoted && !is_escaped && byte == b'\\';
        quoted ^= byte == b'"' && !is_escaped;
        byte == b',' && !quoted
    };
    let members = line.split(ends).collect();
    if quoted { line.split(|&byte| byte == b',').collect() } else { members }
}

fn is_array(body: &[u8]) -> bool {
    // serde does not look into ignored values, so the check for UTF-8 comes first.
    let text = std::str::from_utf8(body);
    text.is_ok_and(|text| serde_json::from_str::<Vec<IgnoredAny>>(text).is_ok())
}

/// Error object in ImageKit's form. SDKs fail on an error body without one of these fields.
#[derive(Deserialize)]
struct ErrorObject {
    #[serde(rename = "message")]
    _message: String,
    #[serde(rename = "help")]
    _help: String,
}

fn error_object(body: Bytes) -> Option<Bytes> {
    // serde also accepts an array of two strings as this struct; an object begins with a brace.
    let object = body.trim_ascii_start().starts_with(b"{");
    (object && serde_json::from_slice::<ErrorObject>(&body).is_ok()).then_some(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(status: u16, body: &'static str) -> Option<ResponseKind> {
        let status = StatusCode::from_u16(status).unwrap();
        ResponseKind::judge(status, Bytes::from_static(body.as_bytes())).ok()
    }

    #[test]
    fn only_a_json_array_is_a_list() {
        for body in ["[]", " [ {\"a\": 1}, 2 ]\n"] {
            assert_eq!(
                judge(200, body),
                Some(ResponseKind::List(Bytes::from_static(body.as_bytes())))
            );
        }
        for body in ["", "{}", "null", "[", "[]]", "[1,]", "<html>", "\"[]\""] {
            assert_eq!(judge(200, body), None, "{body}");
        }
    }

    #[test]
    fn an_array_that_is_not_utf_8_is_no_list() {
        let body = Bytes::from_static(b"[\"\xff\"]");
        assert!(ResponseKind::judge(StatusCode::OK, body).is_err());
    }

    #[test]
    fn an_error_body_is_passed_on_only_in_the_shape_that_sdks_can_read() {
        let good = r#"{"message":"The requested file does not exist.","help":"Ask."}"#;
        let bytes = Some(Bytes::from_static(good.as_bytes()));
        assert_eq!(judge(404, good), Some(ResponseKind::NotFound(bytes.clone())));
        assert_eq!(judge(400, good), Some(ResponseKind::BadRequest(bytes)));
        for body in ["", "{}", r#"{"message":"a"}"#, r#"{"message":1,"help":""}"#, r#"["a","b"]"#] {
            assert_eq!(judge(404, body), Some(ResponseKind::NotFound(None)), "{body}");
        }
    }

    #[test]
    fn no_store_and_private_are_heeded_however_they_are_written() {
        for (value, expected) in [
            ("max-age=60", Storable::Yes),
            ("no-cache", Storable::Yes),
            ("No-Store", Storable::No),
            ("max-age=60 , private", Storable::No),
            ("private=\"x\"", Storable::No),
            ("max-age=60, No-Transform", Storable::Untransformed),
            ("no-transform, no-store", Storable::No),
            ("not-no-store, xprivate", Storable::Yes),
            // A quoted argument is one token, even with commas in it.
            ("foo=\"a, no-store, b\"", Storable::Yes),
            ("foo=\"a\\\", no-store, b\", no-transform", Storable::Untransformed),
            ("foo=\"a\\\\\", no-store", Storable::No),
            ("foo=\"a, no-store", Storable::No),
        ] {
            let mut fields = HeaderMap::new();
            fields.insert(CACHE_CONTROL, HeaderValue::from_static(value));
            assert_eq!(storable(&fields), expected, "{value}");
        }
    }
    #[test]
    fn the_first_number_of_an_age_counts_however_large_it_is() {
        let largest = u64::from(u32::MAX);
        for (lines, seconds) in [
            (&[][..], 0),
            (&["50"], 50),
            (&[" 50 "], 50),
            (&["30, 40"], 30),
            (&["30", "40"], 30),
            (&["x", "40"], 0),
            (&["+50"], 0),
            (&["-50"], 0),
            (&["5.0"], 0),
            (&[""], 0),
            (&["4294967295"], largest),
            (&["5000000000"], largest),
            (&["99999999999999999999999999"], largest),
        ] {
            let mut fields = HeaderMap::new();
            for line in lines {
                fields.append(AGE, HeaderValue::from_static(line));
            }
            assert_eq!(age(&fields), Duration::from_secs(seconds), "{lines:?}");
        }
    }
}
