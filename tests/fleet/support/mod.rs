//! What the tests share: a fleet of gateways, each with a link of its own to one Redis, in front
//! of an origin that counts.
//!
//! Only the origin and the links are in this process. Nothing here needs a port to be free: the
//! kernel picks them, and Redis listens on a socket in a directory of its own.

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
