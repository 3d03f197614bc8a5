//! Paths and secret files that a configuration names.

use std::path::{Path, PathBuf};

use super::super::value::Given;
use crate::error::chain;
use crate::secret::Secret;

/// Reads a path. A relative one starts at the configuration's directory.
pub(super) fn file(given: &Given, directory: &Path) -> Result<PathBuf, &'static str> {
    match given.text()? {
        "" => Err("must be a path"),
        path => Ok(directory.join(path)),
    }
}

/// Reads the secret in the file that is given.
pub(super) fn secret(given: &Given, directory: &Path) -> Result<Secret, String> {
    let path = file(given, directory).map_err(str::to_owned)?;
    Secret::from_file(&path).map_err(|error| chain(&error))
}
