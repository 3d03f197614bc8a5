//! Parser of plain requests, for the fast path: HTTP/1.1 `GET`s with a complete head, without a
//! body, framing or upgrade. `Connection` may be `close` or `keep-alive`.
//!
//! For every other request it returns `None`, and hyper reads the request. It does not check the
//! head rules; `head` does that for every request.

use std::mem::MaybeUninit;

use http::header::HeaderName;
use http::{Method, Version};
use memchr::memchr2;

use super::request::{FieldName, RequestFields, RequestHead};

/// Most fields of a plain request. Browsers send about twenty.
const FIELDS_MAX: usize = 40;

/// Fields that frame a message, or that request another protocol.
const FRAMING: [FieldName; 6] = [
    FieldName::ContentLength,
    FieldName::Expect,
    FieldName::Te,
    FieldName::Trailer,
    FieldName::TransferEncoding,
    FieldName::Upgrade,
];

/// Method of a plain request.
static GET: Method = Method::GET;

/// Plain request. It may hold a credential, and so has no `Debug`.
pub struct PlainRequest<'a> {
    pub head: RequestHead<'a>,
    /// Whether the client wants the connection to end with the response.
    pub close: bool,
    /// Length of the head, in bytes.
    pub length: usize,
}

impl<'a> PlainRequest<'a> {
    /// Parses the request at the beginning of `received`, if it is a plain one. `client_address`:
    /// see [`FieldName::ClientAddress`].
    pub fn parse(received: &'a [u8], client_address: &HeaderName) -> Option<Self> {
        let mut space = [const { MaybeUninit::uninit() }; FIELDS_MAX];
        let mut request = httparse::Request::new(&mut []);
        let parsed = request.parse_with_uninit_headers(received, &mut space);
        let Ok(httparse::Status::Complete(length)) = parsed else { return None };
        let (Some("GET"), Some(1)) = (request.method, request.version) else { return None };
        let mut fields = RequestFields::default();
        for field in &*request.headers {
            fields.push(field.name.as_bytes(), field.value, client_address);
        }
        if FRAMING.into_iter().any(|name| fields.has(name)) {
            return None;
        }
        let mut close = false;
        for value in fields.all(FieldName::Connection) {
            let is_close = value.eq_ignore_ascii_case(b"close");
            if !is_close && !value.eq_ignore_ascii_case(b"keep-alive") {
                return None;
            }
            close |= is_close;
        }
        let (path, query) = origin_form(request.path?)?;
        let (method, version) = (&GET, Version::HTTP_11);
        let (scheme, authority, padded) = (None, None, false);
        let head = RequestHead { method, version, scheme, authority, path, query, fields, padded };
        Some(Self { head, close, length })
    }
}

/// Returns path and query of a target in origin form. A target with a fragment is refused: hyper
/// would drop the fragment, which no target may have.
fn origin_form(target: &str) -> Option<(&str, Option<&str>)> {
    if !target.starts_with('/') {
        return None;
    }
    match memchr2(b'?', b'#', target.as_bytes()) {
        None => Some((target, None)),
        Some(end) => {
            let (path, rest) = target.split_at_checked(end)?;
            let query = rest.strip_prefix('?').filter(|query| !query.contains('#'))?;
            Some((path, Some(query)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

    fn parse(head: &str) -> Option<PlainRequest<'_>> {
        PlainRequest::parse(head.as_bytes(), &X_FORWARDED_FOR)
    }

    #[test]
    fn a_plain_request_keeps_what_an_answer_depends_on() {
        let head = "GET /a?b HTTP/1.1\r\nHost: a:1\r\nUser-Agent: b\r\nIF-NONE-MATCH: \"c\"\r\n\
                    Connection: Keep-Alive\r\nif-none-match: *\r\nOrigin: d\r\n\r\n";
        let more = format!("{head}GET /");
        let plain = parse(&more).unwrap();
        assert_eq!((plain.close, plain.length), (false, head.len()));
        assert_eq!((plain.head.path, plain.head.query), ("/a", Some("b")));
        assert_eq!(plain.head.fields.all(FieldName::IfNoneMatch).count(), 2);
        assert_eq!(plain.head.fields.only(FieldName::Origin), Some(&b"d"[..]));
        let close = parse("GET / HTTP/1.1\r\nConnection: Close\r\nHost: a\r\n\r\n");
        assert!(close.unwrap().close);
    }

    #[test]
    fn a_request_of_any_other_kind_is_not_plain() {
        let get = "GET / HTTP/1.1\r\nHost: a\r\n";
        assert!(parse(&format!("{get}\r\n")).is_some());
        for head in [
            get.to_owned(),
            String::new(),
            "\r\n".to_owned(),
            "GET / HTTP/1.0\r\nHost: a\r\n\r\n".to_owned(),
            "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
            "get / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
            "GET * HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
            "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
            "GET /a?b#c HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
            "GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
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
