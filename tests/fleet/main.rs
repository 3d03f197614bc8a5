//! Several gateways as one, with nothing in their place: the program itself, a real Redis between
//! them, and faults of both. Time is the machine's own, so what a test waits for it asks for.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails should fail at once; clippy exempts only functions marked #[test]"
)]

mod gateway_faults;
mod history;
mod purges;
mod quotas;
mod redis_faults;
mod second_level;
mod secured;
#[path = "../support/mod.rs"]
mod shared;
mod support;
mod unfit;
