//! `ikgate keygen`: makes a key for a new caller, and prints the configuration with its digest.

use super::failure::Failure;
use super::output::say;
use crate::caller::CallerKey;
use crate::config::caller_name;

#[derive(Debug, clap::Args)]
pub(super) struct Keygen {
    /// Name of the caller, as metrics and rate-limit fields show it.
    #[arg(long, value_name = "NAME", value_parser = caller_name)]
    caller: String,
}

impl Keygen {
    pub(super) fn run(&self) -> Result<(), Failure> {
        let key = CallerKey::generate()
            .map_err(|error| Failure::Run(format!("cannot get random numbers: {error}")))?;
        say(&format!(
            "# The key. Hand it over now: it is not kept anywhere.
# {}

[[callers]]
name = \"{}\"
key_sha256 = \"{}\"",
            key.secret().expose(),
            self.caller,
            key.digest()
        ));
        Ok(())
    }
}
