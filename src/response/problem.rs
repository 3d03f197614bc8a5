//! Errors that ikgate makes itself, in ImageKit's shape.
//!
//! `message` and `help` are always there: ImageKit's SDKs fail on an error body without them.
//! `code` is ours, and stable.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderName, RETRY_AFTER, WWW_AUTHENTICATE,
};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use serde::Serialize;

use super::{JSON, NO_STORE};

const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");
const X_SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");
const X_RATELIMIT_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const X_RATELIMIT_INTERVAL: HeaderName = HeaderName::from_static("x-ratelimit-interval");
const X_RATELIMIT_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// Longest wait that is told. SDKs ignore a longer one, or sit it out in full.
const WAIT_MAX: Duration = Duration::from_mins(1);

/// One error, as its caller will see it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problem {
    pub status: StatusCode,
    pub code: &'static str,
    pub message: Cow<'static, str>,
    pub help: &'static str,
    /// What `Allow` lists, of a 405.
    pub allowed: Option<&'static str>,
    pub retry: Retry,
    pub connection: Connection,
}

/// What becomes of the connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Connection {
    /// What follows on it cannot be trusted, or is not worth the reading.
    Close,
    Keep,
}

/// Whether the same request may do better later.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Retry {
    /// Not before this long, for want of quota in this bucket.
    After { wait: Duration, bucket: BucketFields },
    /// Elsewhere, or here once this has passed.
    Elsewhere { wait: Duration },
    /// Perhaps; nobody knows when.
    Maybe,
    /// The same request will always fail.
    Never,
}

/// `X-RateLimit-*`, as ImageKit's older SDKs read them: integers, milliseconds.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct BucketFields {
    pub limit: Option<u64>,
    pub interval_millis: Option<u64>,
}

#[derive(Serialize)]
struct Body<'a> {
    message: &'a str,
    help: &'a str,
    code: &'a str,
}

impl Problem {
    /// The body, as it is also stored for an upstream's 404 or 400 that had none of use.
    pub fn body(&self) -> Bytes {
        let body = Body { message: &self.message, help: self.help, code: self.code };
        Bytes::from(serde_json::to_vec(&body).expect("three strings always serialise"))
    }

    pub(super) fn write(&self, response: &mut Response<Bytes>) {
        *response.status_mut() = self.status;
        *response.body_mut() = self.body();
        let fields = response.headers_mut();
        fields.insert(CONTENT_TYPE, JSON);
        fields.insert(CACHE_CONTROL, NO_STORE);
        if let Some(methods) = self.allowed {
            fields.insert(ALLOW, HeaderValue::from_static(methods));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            // Never Basic: a browser would ask its user for a password.
            fields.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if self.connection == Connection::Close {
            fields.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        match self.retry {
            Retry::Maybe => {}
            Retry::Never => {
                fields.insert(X_SHOULD_RETRY, HeaderValue::from_static("false"));
            }
            Retry::Elsewhere { wait } => {
                write_wait(wait, fields);
            }
            Retry::After { wait, bucket } => {
                let millis = write_wait(wait, fields);
                if let Some(limit) = bucket.limit {
                    fields.insert(X_RATELIMIT_LIMIT, HeaderValue::from(limit));
                }
                if let Some(interval) = bucket.interval_millis {
                    fields.insert(X_RATELIMIT_INTERVAL, HeaderValue::from(interval));
                }
                fields.insert(X_RATELIMIT_RESET, HeaderValue::from(millis));
            }
        }
    }
}

/// The wait, in milliseconds, as it was written.
fn write_wait(wait: Duration, fields: &mut HeaderMap) -> u64 {
    let millis = wait_millis(wait);
    fields.insert(RETRY_AFTER, HeaderValue::from(millis.div_ceil(1_000).max(1)));
    fields.insert(RETRY_AFTER_MS, HeaderValue::from(millis));
    millis
}

/// Whole milliseconds, rounded up, at least one: a client told to wait for none comes at once.
fn wait_millis(wait: Duration) -> u64 {
    let millis = wait.min(WAIT_MAX).as_nanos().div_ceil(1_000_000);
    u64::try_from(millis).unwrap_or(u64::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_told_in_every_unit_rounded_up_and_bounded() {
        let table = [
            (Duration::ZERO, "1", "1"),
            (Duration::from_nanos(1), "1", "1"),
            (Duration::from_micros(999_001), "1", "1000"),
            (Duration::from_millis(1_001), "2", "1001"),
            (Duration::from_mins(15), "60", "60000"),
        ];
        for (wait, seconds, millis) in table {
            let problem = Problem {
                status: StatusCode::TOO_MANY_REQUESTS,
                code: "throttled",
                message: "Slow down.".into(),
                help: "Wait.",
                allowed: None,
                connection: Connection::Keep,
                retry: Retry::After {
                    wait,
                    bucket: BucketFields { limit: Some(20), interval_millis: Some(2000) },
                },
            };
            let mut response = Response::new(Bytes::new());
            problem.write(&mut response);
            let field = |name: HeaderName| response.headers().get(name).unwrap().clone();
            assert_eq!(field(RETRY_AFTER), seconds, "{wait:?}");
            assert_eq!(field(RETRY_AFTER_MS), millis, "{wait:?}");
            assert_eq!(field(X_RATELIMIT_RESET), millis, "{wait:?}");
            assert_eq!(field(X_RATELIMIT_LIMIT), "20");
            assert_eq!(field(X_RATELIMIT_INTERVAL), "2000");
        }
    }
}
