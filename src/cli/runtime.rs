//! Tokio runtime of the commands.

use super::failure::Failure;

pub(super) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    // On one core, a pool of one thread only adds the cost of handing tasks over.
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let mut builder = match cores {
        1 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    let runtime = builder.enable_all().build();
    runtime.map_err(|error| Failure::Run(format!("cannot start the runtime: {error}")))
}
