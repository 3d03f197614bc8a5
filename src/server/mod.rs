//! HTTP server: listeners and connections for an application that implements [`Service`].
//!
//! A connection permit is taken before a connection is accepted. So past the limit, new connections
//! wait in the kernel's backlog instead of in the gateway's memory. Every phase of a connection has
//! its own deadline (`deadline`). A connection that misbehaves holds only its permit, and not for
//! long.

mod accept;
mod activity;
mod addresses;
mod connection;
mod connection_permits;
mod deadline;
mod drain;
mod drive;
mod event;
mod http1;
mod http2;
mod inbound;
mod listen;
mod outbound;
mod passed;
mod request_lines;
mod response_future;
mod service;
mod settings;
mod streams;
mod tls;

pub use accept::Server;
pub use addresses::{clash, includes};
pub use drain::{Drain, DrainEnd};
pub use event::{Deadline, Refused};
pub use listen::{ListenSource, Listener, bind};
pub use passed::{PassedListeners, PassedSockets, PassedTo, UnusableSocket};
pub use service::{FastPath, Reply, Service, ServiceResponse, Unreadable, reply};
pub use settings::{LINGER_MAX, ServerSettings};
pub use tls::{Expiry, Tls, TlsChange, TlsError, TlsFiles, TlsSlot};
