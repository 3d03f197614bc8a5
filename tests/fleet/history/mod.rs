//! What a fleet did while it was in trouble, written down and judged afterwards.
//!
//! - `run`: a fleet, for some seconds; `users`: who reads and purges; `trouble`: what breaks, and
//!   for how long; `check`: what such a history must not show.

mod check;
mod run;
mod trouble;
mod users;

use std::time::Duration;

/// Everything that was seen from outside. Instants are of one clock, from the beginning.
#[derive(Clone, Debug, Default)]
struct History {
    reads: Vec<Read>,
    purges: Vec<Purge>,
    /// How many there are.
    files: usize,
    /// Reads of every file at every gateway after everything was mended.
    last: Vec<Read>,
    /// Of each file, then.
    newest: Vec<u64>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Read {
    gateway: usize,
    file: usize,
    /// When the request began.
    at: Duration,
    /// What it was answered with.
    version: u64,
}

/// Of one file, perhaps together with others.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Purge {
    gateway: usize,
    file: usize,
    /// What the upstream had when it was sent.
    version: u64,
    acknowledged: Duration,
    told: Told,
}

/// Who knows of a purge that is acknowledged.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Told {
    Fleet,
    /// So far.
    Itself,
}
