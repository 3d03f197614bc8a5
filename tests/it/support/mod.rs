//! What the tests share: an origin that does what it is told, a gateway in front of it, and a
//! client that can send what no library would.
//!
//! Everything listens on loopback ports that the kernel picks, so tests run in parallel and never
//! collide. Nothing here sleeps.

mod client;
pub(crate) mod client_hello;
mod exchanges;
mod gateway;
pub(crate) mod http2;
mod origin;
mod program;
mod tls;
pub(crate) mod tokens;

pub(crate) use crate::shared::Answer;
pub(crate) use client::{Connection, Wire, get, send};
pub(crate) use exchanges::{Exchanges, Seen};
pub(crate) use gateway::TestGateway;
pub(crate) use origin::{Origin, Reply};
pub(crate) use program::{Program, receive, run, run_passed, scratch};
pub(crate) use tls::{Authority, provider, section, secured, shake_hands};

/// A file that most tests ask for.
pub(crate) const FILE: &str = "64a1b2c3d4e5f60718293a4b";

/// Its path.
pub(crate) fn versions_of(file: &str) -> String {
    format!("/v1/files/{file}/versions")
}
