//! Settings of a server: limits of its connections.

use std::time::Duration;

use ipnet::IpNet;

/// Longest useful [`ServerSettings::linger`]. A longer one delays a drain; a shorter one loses
/// requests of clients that are farther away.
pub const LINGER_MAX: Duration = Duration::from_secs(1);

/// Limits of one kind of listener.
#[derive(Clone, Debug)]
pub struct ServerSettings {
    pub max_connections: usize,
    pub max_connections_per_ip: usize,
    /// Networks of peers that `max_connections_per_ip` does not apply to.
    pub uncounted: Vec<IpNet>,
    /// Longest head accepted, in bytes. A longer one is answered with 431.
    pub max_head_bytes: usize,
    /// Longest time from the first byte of a head to its end. A TLS handshake has the same limit.
    pub header_timeout: Duration,
    pub idle_timeout: Duration,
    /// Longest time in which a peer takes no byte of its responses.
    pub write_stall_timeout: Duration,
    /// Longest age of a connection. Shortened by up to a tenth, so that connections do not all end
    /// at once.
    pub max_connection_age: Duration,
    /// Time for which a connection that is to end stays open after its last response, so that a
    /// request that is on its way is not lost. Must be shorter than the grace period of a drain.
    pub linger: Duration,
}

impl ServerSettings {
    /// Returns limits for internal listeners, which have few clients.
    pub fn internal() -> Self {
        Self {
            max_connections: 64,
            max_connections_per_ip: 64,
            uncounted: Vec::new(),
            max_head_bytes: 16 * 1024,
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            write_stall_timeout: Duration::from_secs(30),
            max_connection_age: Duration::from_hours(1),
            linger: LINGER_MAX,
        }
    }
}
