//! Hosts: of URLs that the operator configures, and of the origins of pages.

use std::net::IpAddr;

/// Returns whether a URL's host can only be this machine: `localhost`, or a loopback address.
/// Secrets and keys may cross such a connection without TLS.
pub fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || bare.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

/// Returns whether a page's origin has this host, which is `uri-host [":" port]`. The default port
/// of the origin's scheme may be written or not.
pub fn is_host_of_origin(origin: &[u8], host: &[u8]) -> bool {
    let (own, port) = if let Some(own) = origin.strip_prefix(b"https://") {
        (own, ":443")
    } else if let Some(own) = origin.strip_prefix(b"http://") {
        (own, ":80")
    } else {
        return false;
    };
    let host = host.strip_suffix(port.as_bytes()).unwrap_or(host);
    own.strip_suffix(port.as_bytes()).unwrap_or(own).eq_ignore_ascii_case(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_has_a_host_whether_or_not_the_default_port_is_written() {
        let is = |origin: &str, host: &str| is_host_of_origin(origin.as_bytes(), host.as_bytes());
        assert!(is("https://a.example", "A.example"));
        assert!(is("https://a.example", "a.example:443"));
        assert!(is("http://a.example", "a.example:80"));
        assert!(is("http://127.0.0.1:8080", "127.0.0.1:8080"));
        for (origin, host) in [
            ("https://b.example", "a.example"),
            ("https://a.example", "a.example:80"),
            ("http://a.example:3000", "a.example"),
            ("http://a.example", "a.example:3000"),
            ("null", "null"),
            ("", ""),
            ("a.example", "a.example"),
        ] {
            assert!(!is(origin, host), "{origin} {host}");
        }
    }
}
