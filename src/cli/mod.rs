//! Command line of the program: the commands, their arguments and the exit codes.

mod admin_client;
mod commands;
mod companion;
mod completions;
mod config_file;
mod demo;
mod demo_variables;
mod healthcheck;
mod keygen;
mod man;
mod purge;
mod reference;
mod report;
mod runtime;
mod sandbox;
mod serve;
mod service_manager;
mod token;

pub use commands::run;
