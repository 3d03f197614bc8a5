//! URL of this gateway, as the client of one request can reach it.

use http::HeaderMap;

use crate::message::RequestHead;

/// URL that is shown if the request does not name a host that can stand in a command.
const UNKNOWN: &str = "https://GATEWAY";

/// Returns the URL without a slash at its end. `tls`: whether the listeners speak TLS.
///
/// A proxy in front may speak TLS in their place, and says so in `X-Forwarded-Proto`. The URL is
/// shown only to the client that sent these fields, so a false one misleads no other client.
pub(in crate::gateway) fn own_url(
    head: &RequestHead<'_>,
    fields: &HeaderMap,
    tls: bool,
    base_path: &str,
) -> String {
    let host = head.host().filter(|host| is_plain(host));
    let Some(host) = host.and_then(|host| std::str::from_utf8(host).ok()) else {
        return format!("{UNKNOWN}{base_path}");
    };
    let forwarded = fields.get("x-forwarded-proto").and_then(|value| value.to_str().ok());
    let scheme = match (forwarded, head.scheme) {
        (Some("https"), _) => "https",
        (Some("http"), _) => "http",
        (_, Some(scheme)) if scheme.as_str().eq_ignore_ascii_case("https") => "https",
        (_, None) if tls => "https",
        (_, Some(_) | None) => "http",
    };
    format!("{scheme}://{host}{base_path}")
}

/// Returns whether a host may stand in a quoted text of a shell, of a script and of a page. A valid
/// host can hold quotes and dollar signs (RFC 3986 section 3.2.2).
fn is_plain(host: &[u8]) -> bool {
    host.iter().all(|byte| byte.is_ascii_alphanumeric() || b".-_:[]".contains(byte))
}

#[cfg(test)]
mod tests {
    use http::Request;
    use http::header::HeaderName;

    use super::*;

    fn url(target: &str, fields: &[(&str, &str)], tls: bool) -> String {
        let mut request = Request::builder().uri(target);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let head = RequestHead::of(&parts, &HeaderName::from_static("x-forwarded-for"));
        own_url(&head, &parts.headers, tls, "/imagekit")
    }

    #[test]
    fn the_url_is_the_one_that_the_client_used() {
        let host = ("host", "gateway.example:8080");
        let plain = "http://gateway.example:8080/imagekit";
        let secure = "https://gateway.example:8080/imagekit";
        for (target, fields, tls, expected) in [
            ("/", &[host][..], false, plain),
            ("/", &[host], true, secure),
            ("/", &[host, ("x-forwarded-proto", "https")], false, secure),
            ("/", &[host, ("x-forwarded-proto", "http")], true, plain),
            ("/", &[host, ("x-forwarded-proto", "https, http")], false, plain),
            ("http://gateway.example:8080/", &[("host", "other")], true, plain),
            ("https://gateway.example:8080/", &[], false, secure),
            ("/", &[("host", "[::1]:80")], false, "http://[::1]:80/imagekit"),
        ] {
            assert_eq!(url(target, fields, tls), expected, "{target} {fields:?} {tls}");
        }
    }

    #[test]
    fn a_host_that_could_end_a_quotation_is_not_shown() {
        for host in ["a'b", "$(id)", "a&b", "a;b", "%3Cscript%3E"] {
            assert_eq!(url("/", &[("host", host)], false), "https://GATEWAY/imagekit", "{host}");
        }
        assert_eq!(url("/", &[], false), "https://GATEWAY/imagekit");
    }
}
