//! Reason why a command failed, and its exit code.

use std::process::ExitCode;

use crate::config::Problems;

/// `EX_USAGE` and `EX_CONFIG` of sysexits.h.
pub(super) const EXIT_USAGE: u8 = 64;
pub(super) const EXIT_CONFIG: u8 = 78;

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

impl Failure {
    /// Returns the message for standard error.
    pub(super) fn message(&self) -> String {
        match self {
            Self::Config(problems) => format!("the configuration cannot be used:\n{problems}"),
            Self::Run(message) | Self::Usage(message) => message.clone(),
        }
    }

    pub(super) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Config(_) => ExitCode::from(EXIT_CONFIG),
            Self::Run(_) => ExitCode::FAILURE,
            Self::Usage(_) => ExitCode::from(EXIT_USAGE),
        }
    }
}
