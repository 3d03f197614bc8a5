//! Where a request really comes from, when proxies of ours stand before us.

use std::net::{IpAddr, SocketAddr};

use http::header::HeaderName;
use ipnet::IpNet;

use crate::message::{FieldName, RequestFields};

/// Whose word is taken for where a request comes from.
#[derive(Clone, Debug)]
pub struct Proxies {
    /// Addresses of proxies that are ours.
    pub trusted: Vec<IpNet>,
    /// The one field that they write it in: a list of addresses, each proxy's peer appended.
    pub field: HeaderName,
}

/// Origin of a request: the client, and whether a proxy stands between.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Sender {
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
    /// Whether this address is a proxy of ours.
    pub fn trust(&self, address: IpAddr) -> bool {
        if self.trusted.is_empty() {
            return false;
        }
        let address = address.to_canonical();
        self.trusted.iter().any(|network| network.contains(&address))
    }

    /// Returns where a request comes from. `peer`: who sent it to this gateway.
    ///
    /// The list of addresses is walked from the right, since only what trusted proxies appended is
    /// true: what is left of the first address that is not theirs can be anything, and so can what
    /// is no address.
    pub fn sender(&self, peer: IpAddr, fields: &RequestFields<'_>) -> Sender {
        let mut client = peer.to_canonical();
        if !self.trust(client) {
            return Sender { client, by_proxy: false };
        }
        let lines = fields.all(FieldName::ClientAddress).rev();
        let mut hops = lines.flat_map(|line| line.rsplit(|&byte| byte == b','));
        while let Some(hop) = hops.next().and_then(address) {
            client = hop;
            if !self.trust(client) {
                break;
            }
        }
        Sender { client, by_proxy: true }
    }
}

/// An address, perhaps with a port, as some proxies write it.
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
        proxies.sender(peer.parse().unwrap(), &fields(&map(&lines))).client.to_string()
    }

    #[test]
    fn the_first_address_from_the_right_that_is_not_ours_is_the_client() {
        let table = [
            // Whoever is not ours is not believed.
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
            // What is no address ends the walk at the last that was one.
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
