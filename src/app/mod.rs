//! Application: builds the gateway from its settings, starts it, and shuts it down in order.

mod build;
mod fleet;
mod listeners;
mod reload;
mod running;
mod service;
mod warnings;
mod watch;

pub use build::gateway;
pub use listeners::StartError;
pub use running::App;
