//! The program: arguments in, exit code out.

use std::process::ExitCode;

/// Small, short-lived allocations on every request are what it is best at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    ikgate::cli::run(std::env::args_os())
}
