//! Where a response's fields are written: a map, for whoever frames the message, or a head as it
//! is sent.

use std::cell::Cell;
use std::time::{Duration, SystemTime};

use http::header::HeaderName;
use http::{HeaderMap, HeaderValue, StatusCode};

use super::FieldText;

/// Fields in the making. No name is written twice.
pub trait Fields {
    /// A value that is there already.
    fn put(&mut self, name: HeaderName, value: HeaderValue);

    /// One that is written for this response.
    fn put_text(&mut self, name: HeaderName, text: &FieldText);
}

impl Fields for HeaderMap {
    fn put(&mut self, name: HeaderName, value: HeaderValue) {
        self.insert(name, value);
    }

    fn put_text(&mut self, name: HeaderName, text: &FieldText) {
        self.insert(name, text.to_value());
    }
}

/// The head of a response in HTTP/1.1 (RFC 9112), as bytes.
pub struct ResponseHead<'a>(&'a mut Vec<u8>);

impl<'a> ResponseHead<'a> {
    /// Begins one. `bytes` must be empty.
    pub fn begin(bytes: &'a mut Vec<u8>, status: StatusCode) -> Self {
        debug_assert!(bytes.is_empty());
        let mut head = Self(bytes);
        head.extend([b"HTTP/1.1 ", status.as_str().as_bytes(), b" "]);
        head.extend([status.canonical_reason().unwrap_or_default().as_bytes(), b"\r\n"]);
        head
    }

    /// Ends it. `length`: of the body, where the status allows one; `last`: the connection ends with
    /// it; `now`: since 1970.
    pub fn end(mut self, length: Option<usize>, last: bool, now: Duration) {
        if last {
            self.extend([b"connection: close\r\n"]);
        }
        if let Some(length) = length {
            let mut digits = itoa::Buffer::new();
            self.extend([b"content-length: ", digits.format(length).as_bytes(), b"\r\n"]);
        }
        self.extend([b"date: ", &date(now.as_secs()), b"\r\n\r\n"]);
    }

    fn extend<const PARTS: usize>(&mut self, parts: [&[u8]; PARTS]) {
        for part in parts {
            self.0.extend_from_slice(part);
        }
    }
}

impl Fields for ResponseHead<'_> {
    fn put(&mut self, name: HeaderName, value: HeaderValue) {
        self.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"]);
    }

    fn put_text(&mut self, name: HeaderName, text: &FieldText) {
        self.extend([name.as_str().as_bytes(), b": ", text.as_bytes(), b"\r\n"]);
    }
}

const DATE_BYTES: usize = 29;

/// `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 section 5.6.7): the same for many answers.
fn date(since_1970: u64) -> [u8; DATE_BYTES] {
    thread_local! {
        static LAST: Cell<(u64, [u8; DATE_BYTES])> =
            const { Cell::new((0, *b"Thu, 01 Jan 1970 00:00:00 GMT")) };
    }
    let (second, mut text) = LAST.get();
    if second != since_1970 {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(since_1970);
        let written = httpdate::fmt_http_date(time);
        // Until the year 9999.
        if let Ok(written) = written.as_bytes().try_into() {
            text = written;
        }
        LAST.set((since_1970, text));
    }
    text
}

#[cfg(test)]
mod tests {
    use http::header::{AGE, VARY};

    use super::*;

    #[test]
    fn a_head_is_a_status_line_fields_and_an_empty_line() {
        let mut bytes = Vec::new();
        let mut head = ResponseHead::begin(&mut bytes, StatusCode::OK);
        head.put(VARY, HeaderValue::from_static("Origin"));
        head.put_text(AGE, FieldText::new("").number(7));
        head.end(Some(12), true, Duration::from_secs(784_111_777));
        let expected = "HTTP/1.1 200 OK\r\nvary: Origin\r\nage: 7\r\nconnection: close\r\n\
                        content-length: 12\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n";
        assert_eq!(String::from_utf8(bytes).unwrap(), expected);

        let mut bytes = Vec::new();
        ResponseHead::begin(&mut bytes, StatusCode::NOT_MODIFIED).end(None, false, Duration::ZERO);
        let expected = "HTTP/1.1 304 Not Modified\r\ndate: Thu, 01 Jan 1970 00:00:00 GMT\r\n\r\n";
        assert_eq!(String::from_utf8(bytes).unwrap(), expected);
    }
}
