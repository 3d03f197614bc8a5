//! Reports of a command to the terminal: its result, its failure and its exit code.

use std::io::{self, Write as _};
use std::process::ExitCode;

use crate::config::Problems;

/// Reason why a command failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// The configuration is not valid. Nothing was started.
    Config(Problems),
    /// The command could not start or complete.
    Run(String),
    /// The arguments do not fit together.
    Usage(String),
}

/// `EX_USAGE` and `EX_CONFIG` of sysexits.h.
pub(super) const EXIT_USAGE: u8 = 64;
pub(super) const EXIT_CONFIG: u8 = 78;

impl Failure {
    /// Prints the failure to standard error and returns the exit code of the program.
    pub(super) fn report(&self) -> ExitCode {
        match self {
            Self::Config(problems) => {
                print_error(&format!("the configuration cannot be used:\n{problems}"));
                ExitCode::from(EXIT_CONFIG)
            }
            Self::Run(message) => {
                print_error(message);
                ExitCode::FAILURE
            }
            Self::Usage(message) => {
                print_error(message);
                ExitCode::from(EXIT_USAGE)
            }
        }
    }
}

/// Prints the result of a command to standard output. It ignores a reader that has closed the pipe.
pub(super) fn print(text: &str) {
    let _ = writeln!(io::stdout(), "{text}");
}

/// Prints a text for the person at the terminal to standard error.
pub(super) fn print_note(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Prints a warning to standard error.
pub(super) fn print_warning(text: &str) {
    let _ = writeln!(io::stderr(), "warning: {text}");
}

fn print_error(text: &str) {
    let _ = writeln!(io::stderr(), "ikgate: {text}");
}

/// Returns the program as it was called, for commands that the user pastes.
pub(super) fn called_as() -> String {
    let program = std::env::args_os().next();
    program.map_or_else(|| "ikgate".to_owned(), |program| program.to_string_lossy().into_owned())
}
