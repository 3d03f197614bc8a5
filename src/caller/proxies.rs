//! Client address of a request behind trusted reverse proxies.

use std::net::{IpAddr, SocketAddr};

use http::header::HeaderName;
use ipnet::IpNet;

use crate::message::{FieldName, RequestFields};

/// Proxies that are trusted to state the client address.
#[derive(Clone, Debug)]
pub struct Proxies {
    /// Networks of the trusted proxies.
    pub trusted: Vec<IpNet>,
    /// Header field that they write: a list of addresses, to which each proxy appends its peer.
    pub field: HeaderName,
}

/// Origin of a request: the client, and whether a proxy stands between.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ClientOrigin {
    /// The address that sent the request to the outermost trusted proxy, or to this gateway.
    pub client: IpAddr,
    /// Whether a trusted proxy sent it to this gateway.
    pub by_proxy: bool,
}

impl Default for Proxies {
    fn default() -> Self {
        Self { trusted: Vec::new(), field: HeaderName::from_static("x-forwarded-for") }
    }
}

impl Proxies {
    /// Returns whether this address belongs to a trusted proxy.
    pub fn trust(&self, address: IpAddr) -> bool {
        if self.trusted.is_empty() {
            return false;
        }
        let address = address.to_canonical();
        self.trusted.iter().any(|network| network.contains(&address))
    }

    /// Returns the origin of a request. `peer`: address that sent it to this gateway.
    ///
    /// The list of addresses is read from the right, since only what trusted proxies appended is
    /// true. Everything to the left of the first untrusted address can be forged, and so can an
    /// entry that is not an address.
    pub fn origin(&self, peer: IpAddr, fields: &RequestFields<'_>) -> ClientOrigin {
        let mut client = peer.to_canonical();
        if !self.trust(client) {
            return ClientOrigin { client, by_proxy: false };
        }
        let lines = fields.all(FieldName::ClientAddress).rev();
        let mut hops = lines.flat_map(|line| line.rsplit(|&byte| byte == b','));
        while let Some(hop) = hops.next().and_then(address) {
            client = hop;
            if !self.trust(client) {
                break;
            }
        }
        ClientOrigin { client, by_proxy: true }
    }
}

/// Parses an address, with or without a port: some proxies write one.
fn address(hop: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(hop.trim_ascii()).ok()?;
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().or_else(|_| text.parse().map(|address: SocketAddr| address.ip()));
    address.ok().map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::message::request::tests::{fields, map};

    fn client(peer: &str, lines: &[&str]) -> String {
        let trusted = ["10.0.0.0/8", "192.0.2.7/32", "2001:db8::/32"];
        let trusted = trusted.map(|network| network.parse().unwrap()).to_vec();
        let proxies = Proxies { trusted, ..Proxies::default() };
        let lines: Vec<_> = lines.iter().map(|line| ("x-forwarded-for", line.as_bytes())).collect();
        proxies.origin(peer.parse().unwrap(), &fields(&map(&lines))).client.to_string()
    }

    #[test]
    fn the_first_address_from_the_right_that_is_not_ours_is_the_client() {
        let table = [
            // The field of an untrusted peer is ignored.
            ("203.0.113.9", &["198.51.100.1"][..], "203.0.113.9"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["198.51.100.1"], "198.51.100.1"),
            ("::ffff:10.0.0.1", &["198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", &["203.0.113.1, 198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", &["203.0.113.1, 198.51.100.1, 10.2.3.4,192.0.2.7"], "198.51.100.1"),
            ("10.0.0.1", &["203.0.113.1", "198.51.100.1", "10.2.3.4"], "198.51.100.1"),
            ("10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
            ("10.0.0.1", &["198.51.100.1:4711"], "198.51.100.1"),
            ("10.0.0.1", &["[2001:db9::1]:4711"], "2001:db9::1"),
            ("2001:db8::1", &["[2001:db9::1]"], "2001:db9::1"),
            ("10.0.0.1", &["::ffff:198.51.100.1"], "198.51.100.1"),
            // An entry that is not an address ends the walk at the last address.
            ("10.0.0.1", &["198.51.100.1, unknown"], "10.0.0.1"),
            ("10.0.0.1", &["198.51.100.1, unknown, 10.0.0.2"], "10.0.0.2"),
            ("10.0.0.1", &["198.51.100.1,"], "10.0.0.1"),
        ];
        for (peer, lines, expected) in table {
            assert_eq!(client(peer, lines), expected, "{peer} {lines:?}");
        }
    }

    #[test]
    fn forged_hops_are_never_reached() {
        let forged = vec!["10.9.9.9"; 500].join(",");
        assert_eq!(client("10.0.0.1", &[&format!("{forged},198.51.100.1")]), "198.51.100.1");
    }

    proptest! {
        #[test]
        fn any_value_is_walked_without_panic(line in "[0-9a-f.:, \\[\\]]{0,80}") {
            let _ = client("10.0.0.1", &[&line]);
        }
    }
}
