//! Where a request really comes from, when proxies of ours stand before us.

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;
use http::header::HeaderName;
use ipnet::IpNet;

/// Whose word is taken for where a request comes from.
#[derive(Clone, Debug)]
pub struct Proxies {
    /// Addresses of proxies that are ours.
    pub trusted: Vec<IpNet>,
    /// The one field that they write it in: a list of addresses, each proxy's peer appended.
    pub field: HeaderName,
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

    /// The address that sent the request to the outermost proxy of ours.
    ///
    /// Walked from the right, since only what our own proxies appended is true: what is left of
    /// the first address that is not ours can be anything, and so can what is no address.
    pub fn client(&self, peer: IpAddr, fields: &HeaderMap) -> IpAddr {
        let mut client = peer.to_canonical();
        if !self.trust(client) {
            return client;
        }
        let values = fields.get_all(&self.field).iter().rev();
        let mut hops = values.flat_map(|value| value.as_bytes().rsplit(|&byte| byte == b','));
        while self.trust(client) {
            let Some(hop) = hops.next().and_then(address) else { break };
            client = hop;
        }
        client
    }
}

/// An address, perhaps with a port, as some proxies write it.
fn address(hop: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(hop).ok()?.trim();
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().or_else(|_| text.parse().map(|address: SocketAddr| address.ip()));
    address.ok().map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn client(peer: &str, lines: &[&str]) -> String {
        let trusted = ["10.0.0.0/8", "192.0.2.7/32", "2001:db8::/32"];
        let trusted = trusted.map(|network| network.parse().unwrap()).to_vec();
        let proxies = Proxies { trusted, ..Proxies::default() };
        let mut fields = HeaderMap::new();
        for line in lines {
            fields.append("x-forwarded-for", HeaderValue::from_str(line).unwrap());
        }
        proxies.client(peer.parse().unwrap(), &fields).to_string()
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
