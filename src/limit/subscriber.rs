//! Subscriber: the part of an IP address that counts as one caller.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU32;

/// Prefix lengths by which IPv6 addresses are grouped: a subscriber usually has a whole prefix.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Ipv6Limits {
    /// Length of a subscriber's prefix, in bits.
    pub prefix: u8,
    /// Length of the wide prefix, in bits, that groups a subscriber with many prefixes. At most
    /// `prefix`.
    pub wide_prefix: u8,
    /// Quota of a wide prefix, as a multiple of the quota of one subscriber.
    pub wide_factor: NonZeroU32,
}

/// Caller's address, reduced to what identifies a subscriber: all of IPv4, the first bits of IPv6.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Subscriber(Prefix);

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Prefix {
    V4(Ipv4Addr),
    V6(Ipv6Addr),
}

impl Subscriber {
    /// Returns the subscriber of an address. `v6_prefix`: prefix length in bits.
    pub fn of(address: IpAddr, v6_prefix: u8) -> Self {
        // A dual-stack listener sees IPv4 peers as ::ffff:a.b.c.d.
        match address.to_canonical() {
            IpAddr::V4(address) => Self(Prefix::V4(address)),
            IpAddr::V6(address) => {
                let free = 128_u32.saturating_sub(u32::from(v6_prefix));
                let mask = u128::MAX.checked_shl(free).unwrap_or(0);
                Self(Prefix::V6(Ipv6Addr::from(u128::from(address) & mask)))
            }
        }
    }

    pub(super) fn is_v6(self) -> bool {
        matches!(self.0, Prefix::V6(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_in_one_v6_prefix_and_mapped_v4_addresses_are_one_subscriber() {
        let of = |text: &str, prefix| Subscriber::of(text.parse().unwrap(), prefix);
        assert_eq!(of("2001:db8:0:1::1", 64), of("2001:db8:0:1:ffff::2", 64));
        assert_ne!(of("2001:db8:0:1::1", 64), of("2001:db8:0:2::1", 64));
        assert_eq!(of("2001:db8:0:1::1", 48), of("2001:db8:0:2::1", 48));
        assert_ne!(of("2001:db8::1", 128), of("2001:db8::2", 128));
        assert_eq!(of("2001:db8::1", 0), of("fe80::2", 0));
        assert_eq!(of("::ffff:192.0.2.1", 64), of("192.0.2.1", 64));
        assert_ne!(of("192.0.2.1", 64), of("192.0.2.2", 64));
    }
}
