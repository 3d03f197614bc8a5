//! `ikgate check`: checks a configuration file and the secret files that it names.

use std::process::ExitCode;

use super::config_file::{ConfigFile, load};
use super::failure::{EXIT_CONFIG, Failure};
use super::output::say;

pub(super) fn run(file: &ConfigFile) -> ExitCode {
    match load(file) {
        Ok(_) => {
            say("ok");
            ExitCode::SUCCESS
        }
        // The problems are the result of this command, on standard output.
        Err(Failure::Config(problems)) => {
            say(&problems.to_string());
            ExitCode::from(EXIT_CONFIG)
        }
        Err(failure) => failure.exit_code(),
    }
}
