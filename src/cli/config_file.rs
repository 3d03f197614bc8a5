//! Configuration file that a command reads, and `ikgate check`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use super::report::{EXIT_CONFIG, Failure, print, print_warning};
use crate::config::{self, Settings};

#[derive(Debug, clap::Args)]
pub(super) struct ConfigFile {
    /// Configuration file, in TOML. Relative paths in it start at its own directory.
    #[arg(long, value_name = "FILE")]
    pub(super) config: PathBuf,
}

pub(super) fn load(file: &ConfigFile) -> Result<Settings, Failure> {
    config::load(&file.config, environment()).map_err(Failure::Config)
}

/// Returns the environment variables. Octets that are not UTF-8 are replaced by U+FFFD, so that the
/// check refuses the value instead of the gateway ignoring it.
pub(super) fn environment() -> impl Iterator<Item = (String, String)> {
    let text = |octets: OsString| octets.to_string_lossy().into_owned();
    std::env::vars_os().map(move |(name, value)| (text(name), text(value)))
}

/// Prints `ok`, or every problem of the configuration. Warnings go to standard error.
pub(super) fn check(file: &ConfigFile) -> ExitCode {
    match config::load(&file.config, environment()) {
        Ok(settings) => {
            for warning in &settings.warnings {
                print_warning(&warning.to_string());
            }
            print("ok");
            ExitCode::SUCCESS
        }
        Err(problems) => {
            print(&problems.to_string());
            ExitCode::from(EXIT_CONFIG)
        }
    }
}
