//! Redis client of the fleet: implements the traits of `protocol` over Redis 7 or Valkey, with one
//! primary.
//!
//! - `server`: connections of a node; `url`: address of the server; `info`: checks of the server.
//! - `stream`: stream of purges; `records`: encoding of its records.
//! - `shared_values`: second level of the cache; `ledger`: quota ledger.
//! - `scripts`: the Lua scripts (`*.lua`). Redis runs each one atomically.

mod info;
mod ledger;
mod records;
mod scripts;
mod server;
mod shared_values;
mod stream;
mod url;

pub(super) use server::RedisServer;
pub use url::{InvalidRedisUrl, RedisUrl};
