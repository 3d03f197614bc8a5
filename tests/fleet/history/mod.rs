//! History test of a fleet under faults: reads and purges are recorded and checked afterwards.
//!
//! - `run` runs a fleet for some seconds.
//! - `users` has the clients that read and purge.
//! - `trouble` injects faults for a time.
//! - `check` finds the violations in a history.

mod check;
mod run;
mod trouble;
mod users;

use std::time::Duration;

/// Everything that clients saw. Instants are durations since the start, by one clock.
#[derive(Clone, Debug, Default)]
struct History {
    reads: Vec<Read>,
    purges: Vec<Purge>,
    /// Number of files.
    files: usize,
    /// Reads of every file at every gateway after all faults were repaired.
    last: Vec<Read>,
    /// Newest version of each file at that time.
    newest: Vec<u64>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Read {
    gateway: usize,
    file: usize,
    /// Instant at which the request began.
    at: Duration,
    /// Version in the response.
    version: u64,
}

/// Purge of one file, alone or as part of a purge of all files.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Purge {
    gateway: usize,
    file: usize,
    /// Version at the upstream when the purge was sent.
    version: u64,
    acknowledged: Duration,
    known_by: KnownBy,
}

/// Gateways that know of an acknowledged purge.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum KnownBy {
    Fleet,
    /// Only the gateway itself so far.
    Itself,
}
