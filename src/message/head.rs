//! Rules that a request's head must keep before anything else looks at it.
//!
//! hyper refuses what cannot be parsed; what is here it lets through (measured with 1.12: two
//! Host fields or none are answered). A head that two readers could understand in two ways is
//! refused, not repaired.

use http::Version;
use http::uri::{Authority, Scheme};

use super::request::{FieldName, RequestHead};

/// Longest body accepted with a request that has no use for one, in bytes. It is read and thrown
/// away so that the connection can be kept; more than this is not worth the reading.
pub const IDLE_BODY_MAX: u64 = 64 * 1024;

/// What a request's body is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BodyUse {
    /// Nothing: it is read away.
    Idle,
    /// An event, which may come in chunks, and has a limit of its own.
    Webhook,
}

/// Why a head is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum HeadFault {
    #[error("the request target is not a path")]
    AuthorityForm,
    #[error("the body is too long")]
    BodyTooLarge,
    #[error("the Host field is not a host name")]
    HostInvalid,
    #[error("the Host field and :authority are not the same")]
    HostMismatch,
    #[error("the request has no Host field")]
    HostMissing,
    #[error("the request has more than one Host field")]
    HostRepeated,
    #[error("Transfer-Encoding is not accepted here")]
    TransferEncoding,
}

/// Checks one head.
///
/// # Errors
///
/// The first rule it breaks.
pub fn check(head: &RequestHead<'_>, body: BodyUse) -> Result<(), HeadFault> {
    let mut hosts = head.fields.all(FieldName::Host);
    let (host, others) = (hosts.next(), hosts.count());
    // RFC 9112 section 3.2: exactly one Host in HTTP/1.1, at most one in HTTP/1.0. RFC 9113 section
    // 8.3.1: in HTTP/2 :authority takes its place.
    match (host, head.version) {
        _ if others > 0 => return Err(HeadFault::HostRepeated),
        (Some(host), _) if !is_host(host) => return Err(HeadFault::HostInvalid),
        (None, Version::HTTP_11) => return Err(HeadFault::HostMissing),
        (None, Version::HTTP_2) if head.authority.is_none() => return Err(HeadFault::HostMissing),
        (Some(_) | None, _) => {}
    }
    check_target(head, host)?;
    // RFC 9112 section 6.3: with both this and Content-Length a request may be smuggled; nothing
    // that is asked for here has a body at all. Of a webhook hyper has taken the length away.
    if body == BodyUse::Webhook {
        return Ok(());
    }
    if head.fields.has(FieldName::TransferEncoding) {
        return Err(HeadFault::TransferEncoding);
    }
    let mut lengths = head.fields.all(FieldName::ContentLength).filter_map(declared_length);
    if lengths.any(|length| length > IDLE_BODY_MAX) {
        return Err(HeadFault::BodyTooLarge);
    }
    Ok(())
}

fn is_host(bytes: &[u8]) -> bool {
    // Visible ASCII without the delimiters of a URI is what an authority may hold; parsing it in
    // full costs more than the whole of the other checks, so only odd ones are.
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b':');
    if !bytes.is_empty() && bytes.iter().all(plain) && bytes.first() != Some(&b':') {
        return true;
    }
    Authority::try_from(bytes)
        .is_ok_and(|authority| !authority.host().is_empty() && !authority.as_str().contains('@'))
}

/// Origin-form and absolute-form (whose authority then stands for Host) are targets of a gateway.
fn check_target(head: &RequestHead<'_>, host: Option<&[u8]>) -> Result<(), HeadFault> {
    match (head.scheme, head.authority) {
        (None, None) => Ok(()),
        (Some(scheme), Some(authority)) if *scheme == Scheme::HTTP || *scheme == Scheme::HTTPS => {
            check_authority(head.version, authority, host)
        }
        _ => Err(HeadFault::AuthorityForm),
    }
}

fn check_authority(
    version: Version,
    authority: &Authority,
    host: Option<&[u8]>,
) -> Result<(), HeadFault> {
    if !is_host(authority.as_str().as_bytes()) {
        return Err(HeadFault::HostInvalid);
    }
    // Of HTTP/1.1 the target's authority replaces Host; of HTTP/2 they are two names of one thing.
    match host {
        Some(host)
            if version == Version::HTTP_2
                && !host.eq_ignore_ascii_case(authority.as_str().as_bytes()) =>
        {
            Err(HeadFault::HostMismatch)
        }
        _ => Ok(()),
    }
}

/// Content-Length as hyper has already validated it.
fn declared_length(value: &[u8]) -> Option<u64> {
    std::str::from_utf8(value).ok()?.parse().ok()
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
        let table: [(Parts, Result<(), HeadFault>); 22] = [
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
            (head(v2, "/", &[("host", "a")]), Ok(())),
            (head(v2, "/", &[]), Err(HeadFault::HostMissing)),
            (head(v2, "https://a/", &[("host", "a"), ("host", "a")]), Err(HeadFault::HostRepeated)),
            (head(v2, "a:1", &[]), Err(HeadFault::AuthorityForm)),
            (
                head(v11, "/", &[host, ("transfer-encoding", "chunked")]),
                Err(HeadFault::TransferEncoding),
            ),
            (head(v11, "/", &[host, ("content-length", "65536")]), Ok(())),
            (head(v11, "/", &[host, ("content-length", "65537")]), Err(HeadFault::BodyTooLarge)),
        ];
        for (row, (head, expected)) in table.iter().enumerate() {
            assert_eq!(check(head, BodyUse::Idle), *expected, "row {row}: {head:?}");
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
