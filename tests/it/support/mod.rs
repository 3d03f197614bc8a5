//! Shared support of the integration tests: a scripted origin, a gateway in front of it, and
//! clients that can send bytes that no library would.
//!
//! All servers listen on loopback ports that the kernel picks, so tests run in parallel and never
//! collide. Nothing here sleeps.

mod client;
pub(crate) mod client_hello;
mod exchanges;
mod gateway;
pub(crate) mod http2;
mod origin;
mod program;
pub(crate) mod signers;
mod tls;
pub(crate) mod tokens;

pub(crate) use crate::shared::Answer;
pub(crate) use client::{Connection, Wire, get, send};
pub(crate) use exchanges::{ExchangeReport, Exchanges};
pub(crate) use gateway::TestGateway;
pub(crate) use origin::{Origin, Reply};
pub(crate) use program::{Demo, Program, config_file, receive, run, run_passed, scratch};
pub(crate) use tls::{Authority, provider, section, secured, shake_hands};

/// Id of the file that most tests request.
pub(crate) const FILE: &str = "64a1b2c3d4e5f60718293a4b";

/// Returns the path of a file's version list.
pub(crate) fn versions_of(file: &str) -> String {
    format!("/v1/files/{file}/versions")
}
