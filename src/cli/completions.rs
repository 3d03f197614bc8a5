//! `ikgate completions`: what a shell must know to complete its commands.

use std::io;

use clap_complete::Shell;

#[derive(Debug, clap::Args)]
pub(super) struct Completions {
    /// For which shell.
    shell: Shell,
}

impl Completions {
    pub(super) fn run(&self, mut command: clap::Command) {
        clap_complete::generate(self.shell, &mut command, "ikgate", &mut io::stdout());
    }
}
