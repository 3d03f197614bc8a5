//! `ikgate man`: writes manual pages, generated from the `--help` texts.

use std::path::PathBuf;

use super::failure::Failure;

#[derive(Debug, clap::Args)]
pub(super) struct Man {
    /// Directory for the pages: `ikgate.1` and one page for each command.
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
