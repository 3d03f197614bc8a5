//! Error responses that ikgate makes itself, in the shape of ImageKit's errors.
//!
//! `message` and `help` are always present: ImageKit's SDKs fail on an error body without them.
//! `code` is an addition of ikgate, and stable.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use serde::Serialize;

use super::constants::{JSON, NO_STORE};
use crate::message::{ConstantField, Fields, ResponseField, constant_field};

/// Never Basic: a browser would ask its user for a password.
static BEARER: ConstantField = constant_field!(WwwAuthenticate, "www-authenticate", "Bearer");
static CLOSE: ConstantField = constant_field!(Connection, "connection", "close");
static NO_RETRY: ConstantField = constant_field!(ShouldRetry, "x-should-retry", "false");

/// Longest wait that a response states. SDKs ignore a longer one, or wait for all of it.
const WAIT_MAX: Duration = Duration::from_mins(1);

/// One error as its caller sees it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problem {
    pub status: StatusCode,
    pub code: &'static str,
    pub message: Cow<'static, str>,
    pub help: &'static str,
    /// Methods that `Allow` lists, in a 405.
    pub allowed: Option<&'static str>,
    pub retry: Retry,
    pub connection: Connection,
}

/// Whether the connection stays open after the response.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Connection {
    /// Close it: what follows on it cannot be trusted, or is not worth reading.
    Close,
    Keep,
}

/// Whether the same request may succeed later.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Retry {
    /// Not before `wait`, when the bucket that refused the request admits several requests again.
    After { wait: Duration, bucket: BucketFields },
    /// At another gateway at once, or here after `wait`.
    Elsewhere { wait: Duration },
    /// Perhaps. The time is not known.
    Maybe,
    /// The same request will always fail.
    Never,
}

/// `X-RateLimit-*` fields of the bucket that refused, as ImageKit's older SDKs read them: integers,
/// milliseconds.
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
    /// Returns the JSON body. It is also stored in place of an upstream's 404 or 400 body that is
    /// not usable.
    pub fn body(&self) -> Bytes {
        let body = Body { message: &self.message, help: self.help, code: self.code };
        Bytes::from(serde_json::to_vec(&body).expect("three strings always serialise"))
    }

    /// Writes the fields of the error.
    pub(super) fn write(&self, fields: &mut impl Fields) {
        fields.put_constant(&JSON);
        fields.put_constant(&NO_STORE);
        if let Some(methods) = self.allowed {
            fields.put_bytes(ResponseField::Allow, methods.as_bytes());
        }
        if self.status == StatusCode::UNAUTHORIZED {
            fields.put_constant(&BEARER);
        }
        if self.connection == Connection::Close {
            fields.put_constant(&CLOSE);
        }
        match self.retry {
            Retry::Maybe => {}
            Retry::Never => {
                fields.put_constant(&NO_RETRY);
            }
            Retry::Elsewhere { wait } => {
                write_wait(wait, fields);
            }
            Retry::After { wait, bucket } => {
                let millis = write_wait(wait, fields);
                if let Some(limit) = bucket.limit {
                    fields.put_number(ResponseField::XRateLimitLimit, limit);
                }
                if let Some(interval) = bucket.interval_millis {
                    fields.put_number(ResponseField::XRateLimitInterval, interval);
                }
                fields.put_number(ResponseField::XRateLimitReset, millis);
            }
        }
    }
}

/// Writes the wait, and returns it in milliseconds as it was written.
fn write_wait(wait: Duration, fields: &mut impl Fields) -> u64 {
    let millis = wait_millis(wait);
    fields.put_number(ResponseField::RetryAfter, millis.div_ceil(1_000).max(1));
    fields.put_number(ResponseField::RetryAfterMillis, millis);
    millis
}

/// Returns whole milliseconds, rounded up, at least one. A client that is told to wait for zero
/// returns at once.
fn wait_millis(wait: Duration) -> u64 {
    let millis = wait.min(WAIT_MAX).as_nanos().div_ceil(1_000_000);
    u64::try_from(millis).unwrap_or(u64::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::FieldMap;

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
            let mut fields = FieldMap::default();
            problem.write(&mut fields);
            let map = fields.take_map();
            let field = |field: ResponseField| map.get(field.name()).unwrap().clone();
            assert_eq!(field(ResponseField::RetryAfter), seconds, "{wait:?}");
            assert_eq!(field(ResponseField::RetryAfterMillis), millis, "{wait:?}");
            assert_eq!(field(ResponseField::XRateLimitReset), millis, "{wait:?}");
            assert_eq!(field(ResponseField::XRateLimitLimit), "20");
            assert_eq!(field(ResponseField::XRateLimitInterval), "2000");
        }
    }
}
