//! Sockets that the service manager opens and passes (systemd socket activation, see
//! `sd_listen_fds_with_names(3)`).
//!
//! They are taken before the process opens anything else, because only the numbers of their
//! descriptors identify them. The name of a socket decides which listener gets it.

use std::io::{Error, ErrorKind};
use std::net::TcpListener;

use listenfd::ListenFd;
use socket2::SockRef;

use super::listen::Listener;

/// Descriptor of the first passed socket.
const FIRST: usize = 3;

/// Name of the admin listener's socket. It is never used for the public listener.
const ADMIN: &str = "admin";

/// Sockets that the service manager has opened and passed.
#[derive(Default)]
pub struct PassedSockets(Vec<Passed>);

struct Passed {
    descriptor: usize,
    /// Empty: the service manager gave no name.
    name: String,
    socket: Result<TcpListener, Error>,
}

/// Listeners that take passed sockets.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PassedTo {
    pub admin: bool,
    pub public: bool,
}

/// Listeners on passed sockets. Each socket stays open as long as this value.
#[derive(Debug, Default)]
pub struct PassedListeners {
    pub admin: Vec<Listener>,
    pub public: Vec<Listener>,
}

/// Error of a passed socket that a listener takes and that cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("descriptor {descriptor} was passed (named {name:?}) and cannot be listened on")]
pub struct UnusableSocket {
    descriptor: usize,
    name: String,
    source: Error,
}

impl PassedSockets {
    /// Takes the sockets out of the environment. Must be called once, while the process has one
    /// thread and no other open files.
    ///
    /// Without `LISTEN_PID`, or with the one of another process, nothing was passed.
    pub fn from_environment() -> Self {
        let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        // `LISTEN_FDS_FIRST_FD` is not set by the service manager, whose first descriptor is always
        // 3.
        let is_ours = is_set("LISTEN_PID") && !is_set("LISTEN_FDS_FIRST_FD");
        let names = std::env::var_os("LISTEN_FDNAMES").unwrap_or_default();
        let names = names.to_string_lossy();
        let mut names = names.split(':');
        // Removes the variables, so that no child process takes the sockets for its own.
        let mut found = ListenFd::from_env();
        let count = if is_ours { found.len() } else { 0 };
        let passed = (0..count).map(|place| Passed {
            descriptor: FIRST + place,
            name: names.next().unwrap_or_default().to_owned(),
            socket: take(&mut found, place),
        });
        Self(passed.collect())
    }

    /// Gives each listener its sockets. Closes those that no listener takes, with a warning. Must
    /// be called within a runtime.
    ///
    /// # Errors
    ///
    /// A socket that a listener takes, and that is not a listening TCP socket.
    pub fn listeners(self, wanted: PassedTo) -> Result<PassedListeners, UnusableSocket> {
        let mut listeners = PassedListeners::default();
        for Passed { descriptor, name, socket } in self.0 {
            let (taken, list) = if name == ADMIN {
                (wanted.admin, &mut listeners.admin)
            } else {
                (wanted.public, &mut listeners.public)
            };
            if !taken {
                tracing::warn!(descriptor, name, "passed socket closed: no listener takes it");
                continue;
            }
            let listener = socket.and_then(Listener::passed);
            list.push(listener.map_err(|source| UnusableSocket { descriptor, name, source })?);
        }
        Ok(listeners)
    }
}

/// Takes the socket at one index. A socket that is not a listening TCP socket is closed.
fn take(found: &mut ListenFd, place: usize) -> Result<TcpListener, Error> {
    match found.take_tcp_listener(place) {
        Ok(Some(socket)) if SockRef::from(&socket).is_listener()? => Ok(socket),
        Ok(_) => Err(Error::new(ErrorKind::InvalidInput, "it does not listen")),
        Err(error) => {
            // A descriptor that is no socket at all stays open.
            _ = found.take_unix_listener(place);
            _ = found.take_udp_socket(place);
            _ = found.take_unix_datagram(place);
            Err(error)
        }
    }
}
