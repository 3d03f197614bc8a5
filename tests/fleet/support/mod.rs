//! Shared support of the fleet tests: gateways that each have their own link to one Redis, in front
//! of an origin that counts requests.
//!
//! Only the origin and the links run in this process. No test needs a fixed free port: the kernel
//! picks the ports, and Redis listens on a socket in a temporary directory.

mod fleet;
mod gateway;
mod http;
mod link;
mod origin;
mod process;
mod redis;
mod wait;

pub(crate) use crate::shared::Answer;
pub(crate) use fleet::{Fleet, Plan};
pub(crate) use gateway::{Gateway, config};
pub(crate) use http::send;
pub(crate) use link::{Link, Mode};
pub(crate) use origin::Origin;
pub(crate) use redis::{PORT, Redis};
pub(crate) use wait::{appears, eventually};
