//! Connection permits: how many connections may be open, in total and for each client address.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use ipnet::IpNet;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::ServerSettings;
use crate::limit::{KeyedPermit, KeyedPermits};

/// Prefix length of IPv6, in bits. A client that has one address has all addresses with the same
/// prefix.
const IPV6_PREFIX: u32 = 64;

/// Connection permits of one kind of listener.
pub(super) struct Places {
    free: Arc<Semaphore>,
    of_one: KeyedPermits<IpAddr>,
    uncounted: Vec<IpNet>,
}

/// Permit of one connection. Dropping it frees it.
pub(super) struct Place {
    _one_of_all: OwnedSemaphorePermit,
    _one_of_its_address: Option<KeyedPermit<IpAddr>>,
}

/// Error: the address has all the connections that it may have.
#[derive(Debug)]
pub(super) struct AddressFull;

impl Places {
    pub(super) fn new(settings: &ServerSettings) -> Self {
        Self {
            free: Arc::new(Semaphore::new(settings.max_connections)),
            of_one: KeyedPermits::new(settings.max_connections_per_ip),
            uncounted: settings.uncounted.clone(),
        }
    }

    /// Waits until a connection of any address may be accepted.
    pub(super) async fn one(&self) -> OwnedSemaphorePermit {
        Arc::clone(&self.free).acquire_owned().await.expect("the semaphore is never closed")
    }

    /// Returns a permit of [`Places::one`], if one is free now.
    pub(super) fn one_at_once(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.free).try_acquire_owned().ok()
    }

    /// Completes the permit for a peer, unless its address has reached its limit.
    pub(super) fn give(
        &self,
        one: OwnedSemaphorePermit,
        peer: IpAddr,
    ) -> Result<Place, AddressFull> {
        let address = whole(peer.to_canonical());
        let counted = !self.uncounted.iter().any(|network| network.contains(&peer.to_canonical()));
        let take = || self.of_one.try_take(address).ok_or(AddressFull);
        let of_address = counted.then(take).transpose()?;
        Ok(Place { _one_of_all: one, _one_of_its_address: of_address })
    }
}

/// Returns the address that stands for all addresses of one client.
fn whole(address: IpAddr) -> IpAddr {
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

    fn places() -> Places {
        Places::new(&ServerSettings {
            max_connections: 10,
            max_connections_per_ip: 2,
            uncounted: vec!["10.0.0.0/8".parse().unwrap()],
            ..ServerSettings::internal()
        })
    }

    async fn take(places: &Places, peer: &str) -> Result<Place, AddressFull> {
        places.give(places.one().await, peer.parse().unwrap())
    }

    #[tokio::test]
    async fn an_address_has_its_places_and_no_more() {
        let places = places();
        let first = take(&places, "192.0.2.1").await.unwrap();
        let _second = take(&places, "::ffff:192.0.2.1").await.unwrap();
        assert!(take(&places, "192.0.2.1").await.is_err());
        let _other = take(&places, "192.0.2.2").await.unwrap();
        drop(first);
        let _again = take(&places, "192.0.2.1").await.unwrap();
        assert_eq!(places.free.available_permits(), 7);
    }

    #[tokio::test]
    async fn addresses_of_one_network_of_ipv6_are_one() {
        let places = places();
        let held = [
            take(&places, "2001:db8:0:1::1").await.unwrap(),
            take(&places, "2001:db8:0:1:ffff::2").await.unwrap(),
        ];
        assert!(take(&places, "2001:db8:0:1::3").await.is_err());
        assert!(take(&places, "2001:db8:0:2::1").await.is_ok());
        drop(held);
        assert_eq!(places.of_one.keys(), 0, "nothing is kept of those who left");
    }

    #[tokio::test]
    async fn a_proxy_of_ours_has_as_many_as_there_are() {
        let places = places();
        let mut held = Vec::new();
        for _ in 0..10 {
            held.push(take(&places, "10.1.2.3").await.unwrap());
        }
        assert_eq!(places.free.available_permits(), 0);
    }
}
