//! `ikgate keygen`: makes a key for a new caller. The key goes to standard error, and the
//! configuration with its digest to standard output, so that a redirect writes no secret.

use super::report::{Failure, called_as, print, print_note};
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
        let (caller, digest) = (&self.caller, key.digest());
        print_note(&format!(
            "The key of {caller}. Hand it over now: it is shown once and kept nowhere.

  {key}

The block on standard output belongs at the end of the configuration. Once it is there:

  {program} check --config ikgate.toml
  kill -HUP PID_OF_IKGATE
  curl -H 'Authorization: Bearer {key}' http://127.0.0.1:8080/v1/files/FILE_ID/versions
",
            program = called_as(),
            key = key.secret().expose()
        ));
        print(&format!("\n[[callers]]\nname = \"{caller}\"\nkey_sha256 = \"{digest}\""));
        Ok(())
    }
}
