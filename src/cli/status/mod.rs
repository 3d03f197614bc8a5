//! `ikgate status` and `ikgate top`: the state of a running gateway on one screen, once or live.
//!
//! [`snapshot`] fetches it from the admin listener, [`view`] draws it. Problems, their remedies and
//! all counts come from the gateway; only sums over points are made here, by the dashboard's
//! formulas.

mod command;
mod numbers;
mod output;
mod palette;
#[cfg(test)]
mod samples;
mod snapshot;
mod tables;
mod text;
mod top;
mod traffic;
mod view;
mod watch;

pub(super) use command::Status;
pub(super) use top::Top;
