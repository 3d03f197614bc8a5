//! Which addresses count as one caller.

use std::net::{IpAddr, Ipv4Addr};

/// An address as far as it tells subscribers apart: all of IPv4, and the first 64 bits of IPv6,
/// since whoever has one IPv6 address usually has 2^64 of them.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Subscriber {
    V4(Ipv4Addr),
    V6Prefix(u64),
}

impl Subscriber {
    pub fn of(address: IpAddr) -> Self {
        // A dual-stack listener sees IPv4 peers as ::ffff:a.b.c.d.
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address),
            IpAddr::V6(address) => {
                Self::V6Prefix(u64::try_from(u128::from(address) >> 64).unwrap_or_default())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_in_a_v6_prefix_and_mapped_v4_addresses_are_one_caller() {
        let of = |text: &str| Subscriber::of(text.parse().unwrap());
        assert_eq!(of("2001:db8:0:1::1"), of("2001:db8:0:1:ffff::2"));
        assert_ne!(of("2001:db8:0:1::1"), of("2001:db8:0:2::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    }
}
