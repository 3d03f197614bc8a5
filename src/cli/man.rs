//! `ikgate man`: manual pages, made of what `--help` says.

use std::path::PathBuf;

use super::Failure;

#[derive(Debug, clap::Args)]
pub(super) struct Man {
    /// Where to write them: `ikgate.1`, and one for each command.
    directory: PathBuf,
}

impl Man {
    pub(super) fn run(&self, command: clap::Command) -> Result<(), Failure> {
        let into = &self.directory;
        let written = std::fs::create_dir_all(into)
            .and_then(|()| clap_mangen::generate_to(command.disable_help_subcommand(true), into));
        written.map_err(|error| Failure::Run(format!("{}: {error}", into.display())))
    }
}
