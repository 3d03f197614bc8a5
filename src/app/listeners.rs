//! Listeners that the gateway opens at its start: it binds addresses and takes passed sockets.

use std::io;
use std::net::SocketAddr;

use crate::server::{self, ListenSource, Listener, PassedSockets, PassedTo, UnusableSocket};
use crate::upstream::UpstreamStartError;

/// Reason why the gateway could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address could not be bound. `key` is the configuration key that names it.
    #[error("cannot listen on {address} ({key})")]
    Bind { key: &'static str, address: SocketAddr, source: io::Error },
    #[error(
        "server.listen says \"systemd\", and no socket was passed for it: one named \"admin\" is \
         the admin listener's"
    )]
    NoPassedSocket,
    #[error(
        "admin.listen says \"systemd\", and {count} sockets named \"admin\" were passed: it takes \
         exactly one (FileDescriptorName=admin)"
    )]
    NotOneAdmin { count: usize },
    #[error(transparent)]
    Passed(#[from] UnusableSocket),
    #[error("cannot read the local address of a listening socket")]
    LocalAddress { source: io::Error },
    #[error(transparent)]
    Upstream(#[from] UpstreamStartError),
}

/// Listener and its actual local address: port 0 is replaced by the port that the system chose.
type BoundListener = (SocketAddr, Listener);

/// Open listeners of the gateway.
pub(super) struct Listeners {
    pub(super) public: Vec<BoundListener>,
    pub(super) admin: BoundListener,
}

impl Listeners {
    /// Binds the addresses and takes the passed sockets that the configuration names. Must be
    /// called within a Tokio runtime.
    ///
    /// # Errors
    ///
    /// Fails if an address cannot be bound, or if a passed socket is missing, extra or unusable.
    pub(super) fn open(
        public: &[ListenSource],
        admin: ListenSource,
        passed: PassedSockets,
    ) -> Result<Self, StartError> {
        let takes_public = public.contains(&ListenSource::Passed);
        let wanted = PassedTo { admin: admin == ListenSource::Passed, public: takes_public };
        let passed = passed.listeners(wanted)?;
        if takes_public && passed.public.is_empty() {
            return Err(StartError::NoPassedSocket);
        }
        let addresses = public.iter().filter_map(|listen| match listen {
            ListenSource::Address(address) => Some(bind("server.listen", *address)),
            ListenSource::Passed => None,
        });
        let passed_public = passed.public.into_iter().map(addressed);
        Ok(Self {
            public: addresses.chain(passed_public).collect::<Result<_, _>>()?,
            admin: match admin {
                ListenSource::Address(address) => bind("admin.listen", address)?,
                ListenSource::Passed => addressed(exactly_one(passed.admin)?)?,
            },
        })
    }
}

fn exactly_one(admin: Vec<Listener>) -> Result<Listener, StartError> {
    let one: Result<[Listener; 1], _> = admin.try_into();
    one.map(|[listener]| listener).map_err(|admin| StartError::NotOneAdmin { count: admin.len() })
}

fn bind(key: &'static str, address: SocketAddr) -> Result<BoundListener, StartError> {
    let listener = server::bind(address);
    addressed(listener.map_err(|source| StartError::Bind { key, address, source })?)
}

fn addressed(listener: Listener) -> Result<BoundListener, StartError> {
    let address = listener.local_addr().map_err(|source| StartError::LocalAddress { source })?;
    Ok((address, listener))
}
