//! Requests in HTTP/1.1 that need no more than a look: a `GET` whose head is here, whole, without
//! a body and without anything that is for the connection.
//!
//! What is anything else, or is wrong in any way, is not for this module to judge: it is `None`,
//! and goes the way of every request.

use std::mem::MaybeUninit;

use http::header::{
    ACCEPT_ENCODING, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, EXPECT, HOST, IF_NONE_MATCH,
    ORIGIN, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::head::is_host;

/// Fields of such a request, at most. Browsers send about twenty.
const FIELDS_MAX: usize = 40;

/// The fields that an answer depends on. All others say nothing to us.
const READ: [HeaderName; 4] = [ACCEPT_ENCODING, AUTHORIZATION, IF_NONE_MATCH, ORIGIN];

/// Those that say how messages are framed and connections are used.
const FRAMING: [HeaderName; 6] = [CONTENT_LENGTH, EXPECT, TE, TRAILER, TRANSFER_ENCODING, UPGRADE];

/// A request that needs no more than a look. It may hold a credential, and so is not shown.
pub struct Plain<'a> {
    /// As it was received: a query, if there is one, included.
    pub path: &'a str,
    /// Those that an answer may depend on, no others.
    pub fields: HeaderMap,
    /// Whether the connection ends with the answer.
    pub last: bool,
}

impl<'a> Plain<'a> {
    /// Reads one at the beginning of `bytes`, and says where it ends.
    pub fn parse(bytes: &'a [u8]) -> Option<(Self, usize)> {
        let mut space = [const { MaybeUninit::uninit() }; FIELDS_MAX];
        let mut request = httparse::Request::new(&mut []);
        let parsed = request.parse_with_uninit_headers(bytes, &mut space);
        let Ok(httparse::Status::Complete(end)) = parsed else { return None };
        let (Some("GET"), Some(1)) = (request.method, request.version) else { return None };
        let (mut hosts, mut last) = (0, false);
        let mut fields = HeaderMap::new();
        for field in &*request.headers {
            let is = |name: &HeaderName| field.name.eq_ignore_ascii_case(name.as_str());
            if is(&HOST) {
                hosts += 1;
                if !is_host(field.value) {
                    return None;
                }
            } else if is(&CONNECTION) {
                let close = field.value.eq_ignore_ascii_case(b"close");
                if !close && !field.value.eq_ignore_ascii_case(b"keep-alive") {
                    return None;
                }
                last |= close;
            } else if let Some(name) = READ.into_iter().find(is) {
                fields.append(name, HeaderValue::from_bytes(field.value).ok()?);
            } else if FRAMING.iter().any(is) {
                return None;
            }
        }
        (hosts == 1).then_some((Self { path: request.path?, fields, last }, end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(head: &str) -> Option<(Plain<'_>, usize)> {
        Plain::parse(head.as_bytes())
    }

    #[test]
    fn a_plain_request_keeps_what_an_answer_depends_on() {
        let head = "GET /a?b HTTP/1.1\r\nHost: a:1\r\nUser-Agent: b\r\nIF-NONE-MATCH: \"c\"\r\n\
                    Connection: Keep-Alive\r\nif-none-match: *\r\nOrigin: d\r\n\r\n";
        let more = format!("{head}GET /");
        let (plain, end) = parse(&more).unwrap();
        assert_eq!((plain.path, plain.last, end), ("/a?b", false, head.len()));
        let close = parse("GET / HTTP/1.1\r\nConnection: Close\r\nHost: a\r\n\r\n");
        assert!(close.unwrap().0.last);
        let kept: Vec<_> =
            plain.fields.iter().map(|(name, value)| (name.as_str(), value)).collect();
        assert_eq!(kept.len(), 3, "{kept:?}");
        assert_eq!(plain.fields.get_all(IF_NONE_MATCH).iter().count(), 2);
        assert_eq!(plain.fields[ORIGIN], "d");
    }

    #[test]
    fn whatever_else_is_not_plain() {
        let get = "GET / HTTP/1.1\r\nHost: a\r\n";
        assert!(parse(&format!("{get}\r\n")).is_some());
        for head in [
            get.to_owned(),
            String::new(),
            "\r\n".to_owned(),
            "GET / HTTP/1.1\r\n\r\n".to_owned(),
            "GET / HTTP/1.0\r\nHost: a\r\n\r\n".to_owned(),
            "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
            "get / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
            "GET / HTTP/1.1\r\nHost: a b\r\n\r\n".to_owned(),
            format!("{get}Host: a\r\n\r\n"),
            format!("{get}Connection: close, upgrade\r\n\r\n"),
            format!("{get}Connection: keep-alive, upgrade\r\n\r\n"),
            format!("{get}Content-Length: 0\r\n\r\n"),
            format!("{get}transfer-encoding: chunked\r\n\r\n"),
            format!("{get}Expect: 100-continue\r\n\r\n"),
            format!("{get}TE: trailers\r\n\r\n"),
            format!("{get}Upgrade: h2c\r\n\r\n"),
            format!("{get}Trailer: a\r\n\r\n"),
            format!("{get} folded\r\n\r\n"),
            format!("{get}a b: c\r\n\r\n"),
            format!("{get}{}\r\n", "a: b\r\n".repeat(FIELDS_MAX)),
        ] {
            assert!(parse(&head).is_none(), "{head:?}");
        }
    }
}
