//! Request head as the pipeline reads it, borrowed from either parser: the fast path's or hyper's.
//!
//! The fields are visited once. A search in hyper's map hashes each name, which costs more than
//! everything that is then done with the value.

use http::header::HeaderName;
use http::request::Parts;
use http::uri::{Authority, Scheme};
use http::{HeaderMap, Method, Version};
use smallvec::SmallVec;

/// Request target that means the server as a whole.
pub const ASTERISK: &str = "*";

/// Field lines that are kept without an allocation. A browser sends four that are read.
const LINES_INLINE: usize = 8;

/// Field that the decision on a request, or the shaping of its response, reads. Help documents and
/// webhooks read further fields from hyper's map. The gateway ignores all others.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FieldName {
    AcceptEncoding,
    Authorization,
    /// Field in which trusted proxies write the client's address. Its name is configured.
    ClientAddress,
    Connection,
    ContentLength,
    Expect,
    Host,
    IfNoneMatch,
    Origin,
    RequestId,
    Te,
    TraceParent,
    Trailer,
    TransferEncoding,
    Upgrade,
}

impl FieldName {
    /// Finds the field by its name, without case.
    fn of(name: &[u8], client_address: &HeaderName) -> Option<Self> {
        // The names of a map are in lower case, and so are those of many clients. An equal name
        // needs no comparison without case.
        let is = |text: &[u8]| name == text || name.eq_ignore_ascii_case(text);
        if is(client_address.as_str().as_bytes()) {
            return Some(Self::ClientAddress);
        }
        let of_this_length: &[(&[u8], Self)] = match name.len() {
            2 => &[(b"te", Self::Te)],
            4 => &[(b"host", Self::Host)],
            6 => &[(b"origin", Self::Origin), (b"expect", Self::Expect)],
            7 => &[(b"trailer", Self::Trailer), (b"upgrade", Self::Upgrade)],
            10 => &[(b"connection", Self::Connection)],
            11 => &[(b"traceparent", Self::TraceParent)],
            12 => &[(b"x-request-id", Self::RequestId)],
            13 => &[(b"authorization", Self::Authorization), (b"if-none-match", Self::IfNoneMatch)],
            14 => &[(b"content-length", Self::ContentLength)],
            15 => &[(b"accept-encoding", Self::AcceptEncoding)],
            17 => &[(b"transfer-encoding", Self::TransferEncoding)],
            _ => &[],
        };
        let found = of_this_length.iter().find(|(text, _)| is(text));
        found.map(|(_, field)| *field)
    }
}

/// Lines of the fields that the pipeline reads, in the order in which they came.
///
/// They may hold a credential, and so have no `Debug`.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct RequestFields<'a>(SmallVec<[(FieldName, &'a [u8]); LINES_INLINE]>);

impl<'a> RequestFields<'a> {
    /// Reads the fields of a map. `client_address`: see [`FieldName::ClientAddress`].
    pub fn of(map: &'a HeaderMap, client_address: &HeaderName) -> Self {
        let mut fields = Self::default();
        for (name, value) in map {
            fields.push(name.as_str().as_bytes(), value.as_bytes(), client_address);
        }
        fields
    }

    /// Adds one line, if the pipeline reads its field.
    pub(super) fn push(&mut self, name: &[u8], value: &'a [u8], client_address: &HeaderName) {
        if let Some(name) = FieldName::of(name, client_address) {
            self.0.push((name, value));
        }
    }

    /// Returns the values of all lines of one field.
    #[inline]
    pub fn all(&self, name: FieldName) -> impl DoubleEndedIterator<Item = &'a [u8]> {
        self.0.iter().filter(move |(own, _)| *own == name).map(|(_, value)| *value)
    }

    /// Returns the value of a field that has exactly one line.
    #[inline]
    pub fn only(&self, name: FieldName) -> Option<&'a [u8]> {
        let mut values = self.all(name);
        let (Some(value), None) = (values.next(), values.next()) else { return None };
        Some(value)
    }

    #[inline]
    pub fn has(&self, name: FieldName) -> bool {
        self.all(name).next().is_some()
    }
}

/// Request head, borrowed from its parser's representation.
#[derive(Clone)]
pub struct RequestHead<'a> {
    pub method: &'a Method,
    pub version: Version,
    /// Scheme, of a target in absolute form and in HTTP/2.
    pub scheme: Option<&'a Scheme>,
    pub authority: Option<&'a Authority>,
    pub path: &'a str,
    pub query: Option<&'a str>,
    pub fields: RequestFields<'a>,
    /// Whether any field's value begins or ends with a blank. Always false in HTTP/1.1, whose
    /// parsers remove such blanks.
    pub padded: bool,
}

impl RequestHead<'static> {
    /// Returns a placeholder for a head that could not be read.
    pub fn unreadable() -> Self {
        Self {
            method: &Method::GET,
            version: Version::HTTP_11,
            scheme: None,
            authority: None,
            path: "",
            query: None,
            fields: RequestFields::default(),
            padded: false,
        }
    }
}

impl<'a> RequestHead<'a> {
    /// Returns the host that the request is for, perhaps with a port. An authority in the target
    /// replaces the field Host.
    pub fn host(&self) -> Option<&'a [u8]> {
        let authority = self.authority.map(|authority| authority.as_str().as_bytes());
        authority.or_else(|| self.fields.only(FieldName::Host))
    }

    /// Borrows a head that hyper has parsed.
    pub fn of(parts: &'a Parts, client_address: &HeaderName) -> Self {
        let is_http2 = parts.version == Version::HTTP_2;
        let padded = is_http2 && parts.headers.values().any(|value| is_padded(value.as_bytes()));
        let mut head = Self {
            method: &parts.method,
            version: parts.version,
            scheme: parts.uri.scheme(),
            authority: parts.uri.authority(),
            path: parts.uri.path(),
            query: parts.uri.query(),
            fields: RequestFields::of(&parts.headers, client_address),
            padded,
        };
        // An absolute form without a path is another form of the asterisk (RFC 9112 section 3.2.4).
        // hyper replaces the missing path by a slash, so it looks like a target that has the slash.
        let is_absolute = head.scheme.is_some() && !is_http2;
        if is_absolute && head.method == Method::OPTIONS && head.path == "/" && head.query.is_none()
        {
            head.path = ASTERISK;
        }
        head
    }
}

fn is_padded(value: &[u8]) -> bool {
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    value.first().is_some_and(is_blank) || value.last().is_some_and(is_blank)
}

#[cfg(test)]
pub(crate) mod tests {
    use http::HeaderValue;

    use super::*;

    /// Builds a header map of these lines.
    pub(crate) fn map(lines: &[(&'static str, &[u8])]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in lines {
            map.append(*name, HeaderValue::from_bytes(value).unwrap());
        }
        map
    }

    /// Reads the fields of a map, with the default field for the client's address.
    pub(crate) fn fields(map: &HeaderMap) -> RequestFields<'_> {
        RequestFields::of(map, &HeaderName::from_static("x-forwarded-for"))
    }

    #[test]
    fn lines_of_the_fields_that_are_read_are_kept_in_order() {
        let map = map(&[
            ("host", b"a"),
            ("x-forwarded-for", b"192.0.2.1"),
            ("user-agent", b"b"),
            ("x-forwarded-for", b"192.0.2.2"),
        ]);
        let fields = fields(&map);
        let addresses: Vec<_> = fields.all(FieldName::ClientAddress).collect();
        assert_eq!(addresses, [&b"192.0.2.1"[..], b"192.0.2.2"]);
        assert_eq!(fields.only(FieldName::ClientAddress), None);
        assert_eq!(fields.only(FieldName::Host), Some(&b"a"[..]));
        assert!(!fields.has(FieldName::Origin));
        assert_eq!(fields.0.len(), 3, "what is not read is not kept");
    }

    #[test]
    fn names_are_found_in_any_case_and_the_configured_one_first() {
        let real = HeaderName::from_static("x-real-ip");
        assert_eq!(FieldName::of(b"X-Real-IP", &real), Some(FieldName::ClientAddress));
        assert_eq!(FieldName::of(b"x-forwarded-for", &real), None);
        assert_eq!(FieldName::of(b"IF-None-Match", &real), Some(FieldName::IfNoneMatch));
        assert_eq!(FieldName::of(b"Authorization", &real), Some(FieldName::Authorization));
        assert_eq!(FieldName::of(b"Hos", &real), None);
    }
}
