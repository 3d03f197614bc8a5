//! Entry point of the `ikgate` program: passes the arguments to the command line module.

use std::process::ExitCode;

/// Global allocator. mimalloc is fast for the small, short-lived allocations of each request.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    ikgate::cli::run(std::env::args_os())
}
