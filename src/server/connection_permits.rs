//! Connection permits: how many connections may be open, in total and for each client address.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ipnet::IpNet;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::settings::ServerSettings;
use crate::limit::{KeyedPermit, KeyedPermits, LineLimit};

/// Prefix length of IPv6, in bits. A client that has one address has all addresses with the same
/// prefix.
const IPV6_PREFIX: u32 = 64;

/// Connection permits of one kind of listener.
pub(super) struct ConnectionPermits {
    free: Arc<Semaphore>,
    per_address: KeyedPermits<IpAddr>,
    uncounted: Vec<IpNet>,
    /// Connections that were refused for their address.
    refused: AtomicU64,
    lines: LineLimit,
    since: Instant,
}

/// Permit of one connection. Dropping it frees it.
pub(super) struct ConnectionPermit {
    _permit: OwnedSemaphorePermit,
    _address_permit: Option<KeyedPermit<IpAddr>>,
}

/// Error: the address has all the connections that it may have.
#[derive(Debug)]
pub(super) struct AddressFull;

impl ConnectionPermits {
    pub(super) fn new(settings: &ServerSettings) -> Self {
        Self {
            free: Arc::new(Semaphore::new(settings.max_connections)),
            per_address: KeyedPermits::new(settings.max_connections_per_ip),
            uncounted: settings.uncounted.clone(),
            refused: AtomicU64::new(0),
            lines: LineLimit::default(),
            since: Instant::now(),
        }
    }

    /// Waits until a connection of any address may be accepted.
    pub(super) async fn acquire(&self) -> OwnedSemaphorePermit {
        Arc::clone(&self.free).acquire_owned().await.expect("the semaphore is never closed")
    }

    /// Returns a permit of [`ConnectionPermits::acquire`], if one is free now.
    pub(super) fn try_acquire(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.free).try_acquire_owned().ok()
    }

    /// Completes the permit for a peer, unless its address has reached its limit.
    pub(super) fn for_peer(
        &self,
        permit: OwnedSemaphorePermit,
        peer: IpAddr,
    ) -> Result<ConnectionPermit, AddressFull> {
        let address = client_network(peer.to_canonical());
        let counted = !self.uncounted.iter().any(|network| network.contains(&peer.to_canonical()));
        let take = || self.per_address.try_take(address).ok_or(AddressFull);
        let of_address = counted.then(take).transpose()?;
        Ok(ConnectionPermit { _permit: permit, _address_permit: of_address })
    }

    /// Counts a connection that was refused for its address. Returns the number since the last line,
    /// if a line about them is due.
    pub(super) fn refused(&self) -> Option<u64> {
        let total = self.refused.fetch_add(1, Ordering::Relaxed) + 1;
        self.lines.due(total, self.since.elapsed())
    }
}

/// Returns the address that stands for all addresses of one client.
fn client_network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => {
            let mask = u128::MAX << (128 - IPV6_PREFIX);
            Ipv6Addr::from_bits(address.to_bits() & mask).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permits() -> ConnectionPermits {
        ConnectionPermits::new(&ServerSettings {
            max_connections: 10,
            max_connections_per_ip: 2,
            uncounted: vec!["10.0.0.0/8".parse().unwrap()],
            ..ServerSettings::internal()
        })
    }

    async fn take(
        permits: &ConnectionPermits,
        peer: &str,
    ) -> Result<ConnectionPermit, AddressFull> {
        permits.for_peer(permits.acquire().await, peer.parse().unwrap())
    }

    #[tokio::test]
    async fn an_address_has_its_permits_and_no_more() {
        let permits = permits();
        let first = take(&permits, "192.0.2.1").await.unwrap();
        let _second = take(&permits, "::ffff:192.0.2.1").await.unwrap();
        assert!(take(&permits, "192.0.2.1").await.is_err());
        let _other = take(&permits, "192.0.2.2").await.unwrap();
        drop(first);
        let _again = take(&permits, "192.0.2.1").await.unwrap();
        assert_eq!(permits.free.available_permits(), 7);
    }

    #[tokio::test]
    async fn addresses_of_one_network_of_ipv6_are_one() {
        let permits = permits();
        let held = [
            take(&permits, "2001:db8:0:1::1").await.unwrap(),
            take(&permits, "2001:db8:0:1:ffff::2").await.unwrap(),
        ];
        assert!(take(&permits, "2001:db8:0:1::3").await.is_err());
        assert!(take(&permits, "2001:db8:0:2::1").await.is_ok());
        drop(held);
        assert_eq!(permits.per_address.keys(), 0, "nothing is kept of those who left");
    }

    #[tokio::test]
    async fn a_proxy_of_ours_has_as_many_as_there_are() {
        let permits = permits();
        let mut held = Vec::new();
        for _ in 0..10 {
            held.push(take(&permits, "10.1.2.3").await.unwrap());
        }
        assert_eq!(permits.free.available_permits(), 0);
    }
}
