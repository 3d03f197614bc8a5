//! Fleet tests: several real gateway processes with a real Redis between them, and faults of both.
//!
//! They run in real time. A test that waits for a state polls for it.
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
