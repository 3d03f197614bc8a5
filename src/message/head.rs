//! Head rules: checks that a request's head must pass before any other stage looks at it.
//!
//! hyper refuses heads that cannot be parsed. These checks refuse what hyper accepts (measured with
//! 1.12: it answers requests with two Host fields or none). A head that two readers could
//! understand in two ways is refused, not repaired.

use std::net::Ipv6Addr;

use http::uri::{Authority, Scheme};
use http::{Method, Version};

use super::request::{ASTERISK, FieldName, RequestFields, RequestHead};

/// Use of a request's body.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BodyUse {
    /// None: the body is discarded.
    Idle,
    /// A webhook event. It may come in chunks, and has a limit of its own.
    Webhook,
}

/// Reason why a head is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum HeadFault {
    #[error("only OPTIONS may have the asterisk form as its target")]
    AsteriskForm,
    #[error("the request target is not a path")]
    AuthorityForm,
    #[error("the body is too long")]
    BodyTooLarge,
    #[error("a field's value begins or ends with a blank")]
    FieldPadded,
    #[error("the Host field is not a host name")]
    HostInvalid,
    #[error("the Host field and :authority differ")]
    HostMismatch,
    #[error("the request has no Host field")]
    HostMissing,
    #[error("the request has more than one Host field")]
    HostRepeated,
    #[error("the head cannot be parsed")]
    Malformed,
    #[error("the request target has bytes that are not ASCII")]
    NotAscii,
    #[error("the head did not arrive in time")]
    TimedOut,
    #[error("the head is too long")]
    TooLong,
    #[error("Transfer-Encoding is not accepted here")]
    TransferEncoding,
}

/// Checks one head.
///
/// # Errors
///
/// The first rule that the head breaks.
pub fn check(head: &RequestHead<'_>, body: BodyUse) -> Result<(), HeadFault> {
    // No value begins or ends with a blank (RFC 9113 section 8.2.1).
    if head.padded {
        return Err(HeadFault::FieldPadded);
    }
    let mut hosts = head.fields.all(FieldName::Host);
    let (host, others) = (hosts.next(), hosts.count());
    // RFC 9112 section 3.2: exactly one Host in HTTP/1.1, at most one in HTTP/1.0. RFC 9113 section
    // 8.3.1: in HTTP/2 `:authority` replaces it.
    match (host, head.version) {
        _ if others > 0 => return Err(HeadFault::HostRepeated),
        (Some(host), _) if !is_host(host) => return Err(HeadFault::HostInvalid),
        (None, Version::HTTP_11) => return Err(HeadFault::HostMissing),
        (None, Version::HTTP_2) if head.authority.is_none() => return Err(HeadFault::HostMissing),
        (Some(_) | None, _) => {}
    }
    check_target(head, host)?;
    // RFC 9112 section 6.3: a request with both Transfer-Encoding and Content-Length may be
    // smuggled. Only webhooks need a body, so only they may have Transfer-Encoding. There hyper has
    // already removed the Content-Length.
    if body == BodyUse::Webhook {
        return check_codings(&head.fields);
    }
    if head.fields.has(FieldName::TransferEncoding) {
        return Err(HeadFault::TransferEncoding);
    }
    Ok(())
}

/// Checks that a webhook's body is chunked or of a known length. hyper accepts more, such as chunks
/// within chunks, which RFC 9112 section 6.1 forbids. Empty elements of a list are ignored (RFC
/// 9110 section 5.6.1.2).
fn check_codings(fields: &RequestFields<'_>) -> Result<(), HeadFault> {
    let lines = fields.all(FieldName::TransferEncoding);
    let elements = lines.flat_map(|line| line.split(|&byte| byte == b','));
    let mut codings = elements.map(<[u8]>::trim_ascii).filter(|coding| !coding.is_empty());
    match (codings.next(), codings.next()) {
        (None, _) => Ok(()),
        (Some(coding), None) if coding.eq_ignore_ascii_case(b"chunked") => Ok(()),
        (Some(_), _) => Err(HeadFault::TransferEncoding),
    }
}

/// Returns whether the bytes are `uri-host [":" port]` (RFC 9110 section 7.2).
fn is_host(bytes: &[u8]) -> bool {
    let (is_valid, rest) = if let Some(literal) = bytes.strip_prefix(b"[") {
        let Some(end) = literal.iter().position(|byte| *byte == b']') else { return false };
        let (address, rest) = literal.split_at(end);
        (is_ipv6(address), rest.get(1..).unwrap_or_default())
    } else {
        let end = bytes.iter().position(|byte| *byte == b':').unwrap_or(bytes.len());
        let (name, rest) = bytes.split_at(end);
        (is_reg_name(name), rest)
    };
    is_valid && (rest.is_empty() || port_of(rest).is_some())
}

/// Returns the digits of `":" port`. There may be none.
fn port_of(rest: &[u8]) -> Option<&[u8]> {
    rest.strip_prefix(b":").filter(|port| port.iter().all(u8::is_ascii_digit))
}

fn is_ipv6(address: &[u8]) -> bool {
    std::str::from_utf8(address).is_ok_and(|text| text.parse::<Ipv6Addr>().is_ok())
}

/// Returns whether the bytes are a name or an IPv4 address (RFC 3986 section 3.2.2), and not empty.
fn is_reg_name(mut name: &[u8]) -> bool {
    // Every hit passes here. Most names need no search in the longer list.
    let is_usual = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    if name.iter().all(is_usual) {
        return !name.is_empty();
    }
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(&byte);
    while let Some((first, rest)) = name.split_first() {
        name = match (first, rest) {
            (b'%', [high, low, rest @ ..])
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                rest
            }
            (byte, rest) if is_plain(*byte) => rest,
            _ => return false,
        };
    }
    true
}

/// Returns `":" port` of the scheme's default port. `None`: the scheme is not HTTP. Schemes are
/// compared without case (RFC 3986 section 3.1).
fn default_port(scheme: &Scheme) -> Option<&'static [u8]> {
    let is = |name| scheme.as_str().eq_ignore_ascii_case(name);
    if is("https") {
        Some(b":443")
    } else if is("http") {
        Some(b":80")
    } else {
        None
    }
}

/// Removes the scheme's default port from an authority.
fn without_default_port<'a>(authority: &'a [u8], port: &[u8]) -> &'a [u8] {
    authority.strip_suffix(port).or_else(|| authority.strip_suffix(b":")).unwrap_or(authority)
}

/// Checks the request target. A gateway accepts origin-form and absolute-form, whose authority then
/// replaces Host. It accepts an asterisk with OPTIONS (RFC 9110 section 7.1).
fn check_target(head: &RequestHead<'_>, host: Option<&[u8]>) -> Result<(), HeadFault> {
    if head.path == ASTERISK && head.method != Method::OPTIONS {
        return Err(HeadFault::AsteriskForm);
    }
    // No URI has such bytes. A client that sends them may mean others than the gateway reads.
    if !head.path.is_ascii() || !head.query.is_none_or(str::is_ascii) {
        return Err(HeadFault::NotAscii);
    }
    match (head.scheme, head.authority) {
        (None, None) => Ok(()),
        (Some(scheme), Some(authority)) => {
            let port = default_port(scheme).ok_or(HeadFault::AuthorityForm)?;
            check_authority(head.version, port, authority, host)
        }
        _ => Err(HeadFault::AuthorityForm),
    }
}

fn check_authority(
    version: Version,
    default_port: &[u8],
    authority: &Authority,
    host: Option<&[u8]>,
) -> Result<(), HeadFault> {
    if !is_host(authority.as_str().as_bytes()) {
        return Err(HeadFault::HostInvalid);
    }
    // In HTTP/1.1 the target's authority replaces Host. In HTTP/2 both name the same thing (RFC
    // 9113 section 8.3.1) and are compared as RFC 3986 section 6.2.3 normalises them.
    let Some(host) = host.filter(|_| version == Version::HTTP_2) else { return Ok(()) };
    let [host, authority] =
        [host, authority.as_str().as_bytes()].map(|name| without_default_port(name, default_port));
    if host.eq_ignore_ascii_case(authority) { Ok(()) } else { Err(HeadFault::HostMismatch) }
}

#[cfg(test)]
mod tests {
    use http::Request;
    use http::header::HeaderName;
    use http::request::Parts;

    use super::*;

    /// Checks a head that hyper has parsed.
    fn check(parts: &Parts, body: BodyUse) -> Result<(), HeadFault> {
        super::check(&RequestHead::of(parts, &HeaderName::from_static("x-forwarded-for")), body)
    }

    fn head(version: Version, target: &str, fields: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().version(version).uri(target);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn each_rule_has_its_fault() {
        let (v10, v11, v2) = (Version::HTTP_10, Version::HTTP_11, Version::HTTP_2);
        let host = ("host", "localhost:8080");
        let table: [(Parts, Result<(), HeadFault>); 33] = [
            (head(v11, "/", &[host]), Ok(())),
            (head(v11, "/", &[("host", "[::1]:80")]), Ok(())),
            (head(v11, "http://other/", &[host]), Ok(())),
            (head(v10, "/", &[]), Ok(())),
            (head(v10, "/", &[host, host]), Err(HeadFault::HostRepeated)),
            (head(v11, "/", &[]), Err(HeadFault::HostMissing)),
            (head(v11, "/", &[host, ("host", "b")]), Err(HeadFault::HostRepeated)),
            (head(v11, "/", &[("host", "")]), Err(HeadFault::HostInvalid)),
            (head(v11, "/", &[("host", "a b")]), Err(HeadFault::HostInvalid)),
            (head(v11, "/", &[("host", "u@a")]), Err(HeadFault::HostInvalid)),
            (head(v11, "localhost:80", &[host]), Err(HeadFault::AuthorityForm)),
            (head(v11, "http://u@other/", &[host]), Err(HeadFault::HostInvalid)),
            (head(v2, "https://a:1/", &[]), Ok(())),
            (head(v2, "https://a:1/", &[("host", "A:1")]), Ok(())),
            (head(v2, "https://a:1/", &[("host", "a:2")]), Err(HeadFault::HostMismatch)),
            (head(v2, "https://a/", &[("host", "A:443")]), Ok(())),
            (head(v2, "https://a:443/", &[("host", "a")]), Ok(())),
            (head(v2, "https://a:80/", &[("host", "a")]), Err(HeadFault::HostMismatch)),
            (head(v2, "http://a:80/", &[("host", "a")]), Ok(())),
            (head(v2, "/", &[("host", "a")]), Ok(())),
            (head(v2, "/", &[]), Err(HeadFault::HostMissing)),
            (head(v2, "https://a/", &[("host", "a"), ("host", "a")]), Err(HeadFault::HostRepeated)),
            (head(v2, "a:1", &[]), Err(HeadFault::AuthorityForm)),
            (head(v11, "HTTP://other/", &[host]), Ok(())),
            (head(v11, "ftp://other/", &[host]), Err(HeadFault::AuthorityForm)),
            (head(v2, "HTTPS://a/", &[("host", "A:443")]), Ok(())),
            (head(v2, "/", &[("host", "a"), ("x", " a")]), Err(HeadFault::FieldPadded)),
            (head(v2, "/", &[("host", "a"), ("x", "a\t")]), Err(HeadFault::FieldPadded)),
            (head(v2, "/", &[("host", "a"), ("x", "a b")]), Ok(())),
            (head(v11, "*", &[host]), Err(HeadFault::AsteriskForm)),
            (head(v11, "/\u{e4}", &[host]), Err(HeadFault::NotAscii)),
            (
                head(v11, "/", &[host, ("transfer-encoding", "chunked")]),
                Err(HeadFault::TransferEncoding),
            ),
            (head(v11, "/", &[host, ("content-length", "65536")]), Ok(())),
        ];
        for (row, (head, expected)) in table.iter().enumerate() {
            assert_eq!(check(head, BodyUse::Idle), *expected, "row {row}: {head:?}");
        }
    }

    #[test]
    fn a_host_is_a_name_or_an_address_and_perhaps_a_port_of_digits() {
        for host in [
            "a",
            "a:",
            "a:1",
            "a-b.c_d",
            "192.0.2.1:80",
            "[::1]",
            "[::1]:8080",
            "[2001:db8::1]:",
            "xn--bcher-kva.example",
            "a%20b",
        ] {
            assert!(is_host(host.as_bytes()), "{host}");
        }
        for host in [
            "",
            ":",
            ":80",
            "a:b",
            "a:80:80",
            "test:8080:9090:1234",
            "a:-1",
            "a:+1",
            "[::g]",
            "[]",
            "[::1",
            "[::1]x",
            "[::1]:x",
            "[fe80::1%25eth0]",
            "::1",
            "a b",
            "u@a",
            "a/b",
            "a?b",
            "a#b",
            "a%2",
            "a%zz",
            "ä",
            "a\\b",
            "a,b:c",
        ] {
            assert!(!is_host(host.as_bytes()), "{host}");
        }
    }

    #[test]
    fn the_body_of_a_webhook_may_be_longer_and_in_chunks() {
        for field in [("transfer-encoding", "chunked"), ("content-length", "262144")] {
            let head = head(Version::HTTP_11, "/", &[("host", "a"), field]);
            assert_eq!(check(&head, BodyUse::Webhook), Ok(()), "{field:?}");
        }
    }
}
