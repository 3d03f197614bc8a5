//! Base URL of the upstream, to which the private key is sent.
//!
//! It is checked when it is configured, not when it is used.

use std::fmt;

use http::Uri;
use http::uri::{Authority, Scheme};

use crate::message::is_loopback;

/// ImageKit's domain. Its API is on this host or a subdomain.
const IMAGEKIT: &str = "imagekit.io";

/// Base URL: `https://host[:port]`, or `http://` to a loopback host. It has no user, path or query.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UpstreamUrl {
    scheme: Scheme,
    authority: Authority,
}

/// Reason why a URL is refused as an upstream.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidUpstreamUrl {
    #[error("must be like \"https://api.imagekit.io\"")]
    NotAUrl,
    #[error("must end after the host: ikgate adds the path")]
    Path,
    #[error(
        "http:// is for loopback hosts only: the private key would cross the network unencrypted"
    )]
    PlainHttp,
    #[error("must not hold a user name or password")]
    UserInfo,
}

impl UpstreamUrl {
    pub fn parse(text: &str) -> Result<Self, InvalidUpstreamUrl> {
        let parts = text.parse::<Uri>().map_err(|_| InvalidUpstreamUrl::NotAUrl)?.into_parts();
        let (Some(scheme), Some(authority)) = (parts.scheme, parts.authority) else {
            return Err(InvalidUpstreamUrl::NotAUrl);
        };
        if authority.as_str().contains('@') {
            return Err(InvalidUpstreamUrl::UserInfo);
        }
        if authority.host().is_empty() || !matches!(scheme.as_str(), "http" | "https") {
            return Err(InvalidUpstreamUrl::NotAUrl);
        }
        if parts.path_and_query.is_some_and(|path| path != "/") {
            return Err(InvalidUpstreamUrl::Path);
        }
        if scheme == Scheme::HTTP && !is_loopback(authority.host()) {
            return Err(InvalidUpstreamUrl::PlainHttp);
        }
        Ok(Self { scheme, authority })
    }

    pub fn is_tls(&self) -> bool {
        self.scheme == Scheme::HTTPS
    }

    /// Returns whether the host is `imagekit.io` or a subdomain of it.
    pub fn is_imagekit(&self) -> bool {
        let host = self.authority.host().to_ascii_lowercase();
        host == IMAGEKIT || host.strip_suffix(IMAGEKIT).is_some_and(|sub| sub.ends_with('.'))
    }

    /// Returns the URL of `path`, which must begin with a slash and need no encoding.
    pub fn join(&self, path: &str) -> Uri {
        Uri::builder()
            .scheme(self.scheme.clone())
            .authority(self.authority.clone())
            .path_and_query(path)
            .build()
            .expect("the path is made of validated parts")
    }
}

impl fmt::Display for UpstreamUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.authority)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_imagekits_own_hosts_are_its_own() {
        let is = |text: &str| UpstreamUrl::parse(text).unwrap().is_imagekit();
        assert!(is("https://api.imagekit.io") && is("https://API.ImageKit.io:8443"));
        for other in ["https://imagekit.io.example", "https://notimagekit.io", "http://localhost"] {
            assert!(!is(other), "{other}");
        }
    }

    #[test]
    fn the_key_goes_to_a_bare_https_host_or_to_loopback() {
        for good in [
            "https://api.imagekit.io",
            "https://api.imagekit.io/",
            "https://api.imagekit.io:8443",
            "http://127.0.0.1:1234",
            "http://127.9.9.9",
            "http://[::1]:80",
            "http://localhost:80",
        ] {
            let url = UpstreamUrl::parse(good).unwrap();
            let joined = url.join("/v1/files/a/versions").to_string();
            assert_eq!(joined, format!("{}/v1/files/a/versions", good.trim_end_matches('/')));
        }
        let table = [
            ("http://api.imagekit.io", InvalidUpstreamUrl::PlainHttp),
            ("http://localhost.example.com", InvalidUpstreamUrl::PlainHttp),
            ("http://128.0.0.1", InvalidUpstreamUrl::PlainHttp),
            ("https://key:@api.imagekit.io", InvalidUpstreamUrl::UserInfo),
            ("https://api.imagekit.io/v1", InvalidUpstreamUrl::Path),
            ("https://api.imagekit.io/?a", InvalidUpstreamUrl::Path),
            ("ftp://api.imagekit.io", InvalidUpstreamUrl::NotAUrl),
            ("api.imagekit.io", InvalidUpstreamUrl::NotAUrl),
            ("/v1", InvalidUpstreamUrl::NotAUrl),
            ("", InvalidUpstreamUrl::NotAUrl),
        ];
        for (bad, expected) in table {
            assert_eq!(UpstreamUrl::parse(bad), Err(expected), "{bad}");
        }
    }
}
