//! Writers of response fields: into a map for hyper ([`super::FieldMap`]), or as the bytes of an
//! HTTP/1.1 head.

use std::cell::RefCell;
use std::time::{Duration, SystemTime};

use http::{HeaderValue, StatusCode};

use super::response_field::{ConstantField, ResponseField};

/// Writer of response fields. No field is written twice.
pub trait Fields {
    fn put_constant(&mut self, field: &'static ConstantField);

    /// Writes a prepared value.
    fn put(&mut self, field: ResponseField, value: &HeaderValue);

    /// Writes a value of this response: visible ASCII, blanks, or the value of a request's field.
    fn put_bytes(&mut self, field: ResponseField, value: &[u8]);

    /// Writes `Date`, from a time since 1970, to the second.
    fn put_date(&mut self, time: Duration) {
        with_date(time, |value| self.put(ResponseField::Date, value));
    }

    fn put_number(&mut self, field: ResponseField, number: u64) {
        self.put_bytes(field, itoa::Buffer::new().format(number).as_bytes());
    }
}

/// Writer of the head of a response in HTTP/1.1 (RFC 9112), as bytes.
pub struct ResponseHead<'a>(&'a mut Vec<u8>);

impl<'a> ResponseHead<'a> {
    /// Starts a head. `bytes` must be empty.
    pub fn begin(bytes: &'a mut Vec<u8>, status: StatusCode) -> Self {
        debug_assert!(bytes.is_empty());
        let mut head = Self(bytes);
        match status {
            StatusCode::OK => head.extend([b"HTTP/1.1 200 OK\r\n"]),
            StatusCode::NOT_MODIFIED => head.extend([b"HTTP/1.1 304 Not Modified\r\n"]),
            _ => {
                let reason = status.canonical_reason().unwrap_or_default();
                let code = status.as_str().as_bytes();
                head.extend([b"HTTP/1.1 ", code, b" ", reason.as_bytes(), b"\r\n"]);
            }
        }
        head
    }

    /// Ends the head. `length` is the body's, if the status allows a body. With `last`, the
    /// connection ends with this response.
    pub fn end(mut self, length: Option<usize>, last: bool) {
        if last {
            self.extend([b"connection: close\r\n"]);
        }
        if let Some(length) = length {
            let mut digits = itoa::Buffer::new();
            self.extend([b"content-length: ", digits.format(length).as_bytes(), b"\r\n"]);
        }
        self.extend([b"\r\n"]);
    }

    fn extend<const PARTS: usize>(&mut self, parts: [&[u8]; PARTS]) {
        for part in parts {
            self.0.extend_from_slice(part);
        }
    }
}

impl Fields for ResponseHead<'_> {
    fn put_constant(&mut self, field: &'static ConstantField) {
        self.extend([field.line.as_bytes()]);
    }

    fn put(&mut self, field: ResponseField, value: &HeaderValue) {
        self.put_bytes(field, value.as_bytes());
    }

    fn put_bytes(&mut self, field: ResponseField, value: &[u8]) {
        self.extend([field.prefix().as_bytes(), value, b"\r\n"]);
    }
}

/// Returns the `Date` of a time since 1970, to the second.
pub fn date_value(time: Duration) -> HeaderValue {
    with_date(time, HeaderValue::clone)
}

/// Calls `take` with a date such as `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 section 5.6.7). Many
/// responses share one second, so the last date is kept for each thread.
fn with_date<T>(time: Duration, take: impl FnOnce(&HeaderValue) -> T) -> T {
    thread_local! {
        static LAST: RefCell<(u64, HeaderValue)> =
            const { RefCell::new((0, HeaderValue::from_static("Thu, 01 Jan 1970 00:00:00 GMT"))) };
    }
    let second = time.as_secs();
    LAST.with_borrow_mut(|(last, value)| {
        if *last != second {
            let text =
                httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_secs(second));
            *value = HeaderValue::from_str(&text).expect("a date is visible ASCII and blanks");
            *last = second;
        }
        take(value)
    })
}

#[cfg(test)]
mod tests {
    use super::super::response_field::constant_field;
    use super::*;

    static VARY: ConstantField = constant_field!(Vary, "vary", "Origin");

    #[test]
    fn a_head_is_a_status_line_fields_and_an_empty_line() {
        let mut bytes = Vec::new();
        let mut head = ResponseHead::begin(&mut bytes, StatusCode::OK);
        head.put_constant(&VARY);
        head.put_number(ResponseField::Age, 7);
        head.put_date(Duration::from_secs(784_111_777));
        head.end(Some(12), true);
        let expected = "HTTP/1.1 200 OK\r\nvary: Origin\r\nage: 7\r\n\
                        date: Sun, 06 Nov 1994 08:49:37 GMT\r\nconnection: close\r\n\
                        content-length: 12\r\n\r\n";
        assert_eq!(String::from_utf8(bytes).unwrap(), expected);

        let mut bytes = Vec::new();
        ResponseHead::begin(&mut bytes, StatusCode::NOT_MODIFIED).end(None, false);
        let expected = "HTTP/1.1 304 Not Modified\r\n\r\n";
        assert_eq!(String::from_utf8(bytes).unwrap(), expected);
    }
}
