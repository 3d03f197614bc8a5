//! `ikgate completions`: what a shell must know to complete its commands.

use clap_complete::Shell;

use super::say;

#[derive(Debug, clap::Args)]
pub(super) struct Completions {
    /// For which shell.
    shell: Shell,
}

impl Completions {
    pub(super) fn run(&self, mut command: clap::Command) {
        // Into memory first: it panics where nothing can be written.
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut command, "ikgate", &mut script);
        say(String::from_utf8_lossy(&script).trim_end());
    }
}
