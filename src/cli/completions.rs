//! `ikgate completions`: prints the completion script for a shell.

use clap_complete::Shell;

use super::output::say;

#[derive(Debug, clap::Args)]
pub(super) struct Completions {
    /// Shell to print the completion script for.
    shell: Shell,
}

impl Completions {
    pub(super) fn run(&self, mut command: clap::Command) {
        // The script goes to memory first, because `generate` panics if the output cannot be
        // written.
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut command, "ikgate", &mut script);
        say(String::from_utf8_lossy(&script).trim_end());
    }
}
