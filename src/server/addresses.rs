//! Addresses of listeners: which of them the system refuses to open at once.

use std::net::{IpAddr, SocketAddr};

/// Returns whether the system refuses one of the addresses while the other is open. With port 0,
/// each listener gets a free port, so two of them do not clash.
pub fn clash(one: SocketAddr, other: SocketAddr) -> bool {
    let same_port = one.port() == other.port() && one.port() != 0;
    same_port && (includes(one, other) || includes(other, one))
}

/// Returns whether a socket on the IP address of `wide` gets the connections to that of `narrow`.
/// `[::]` gets those of IPv4, too: [`super::bind`] says so to the system.
pub fn includes(wide: SocketAddr, narrow: SocketAddr) -> bool {
    match (wide.ip().to_canonical(), narrow.ip().to_canonical()) {
        (IpAddr::V6(ip), _) if ip.is_unspecified() => true,
        (IpAddr::V4(ip), IpAddr::V4(_)) if ip.is_unspecified() => true,
        (one, other) => one == other && scope(wide) == scope(narrow),
    }
}

/// Returns the scope of an IPv6 address, which names an interface; 0 without one.
fn scope(address: SocketAddr) -> u32 {
    match address {
        SocketAddr::V4(_) => 0,
        SocketAddr::V6(address) => address.scope_id(),
    }
}
