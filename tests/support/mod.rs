//! Support shared by the integration tests and the fleet tests: response reader, origin listener,
//! and processes that end with their test.

mod answer;
mod listener;
mod process;

pub(crate) use answer::{Answer, read};
pub(crate) use listener::{listen, read_head};
pub(crate) use process::Owned;
