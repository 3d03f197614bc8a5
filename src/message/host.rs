//! Hosts of URLs that the operator configures.

use std::net::IpAddr;

/// Returns whether a URL's host can only be this machine: `localhost`, or a loopback address.
/// Secrets and keys may cross such a connection without TLS.
pub fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || bare.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}
