//! Paths and secret files that a configuration names.

use std::fs::Metadata;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::super::given::Given;
use super::super::section::Section;
use crate::caller::KEY_PREFIX;
use crate::error_chain::chain;
use crate::secret::{PRIVATE_KEY_PREFIX, Secret};

/// Beginning of the secrets of ImageKit's webhooks.
pub(super) const WEBHOOK_SECRET_PREFIX: &str = "whsec_";

/// Beginnings of ImageKit's private keys, of its webhooks' secrets, and of callers' keys.
const SECRET_PREFIXES: [&str; 3] = [PRIVATE_KEY_PREFIX, WEBHOOK_SECRET_PREFIX, KEY_PREFIX];

/// Permission bit of a file that every user can read.
const OTHERS_READ: u32 = 0o004;

/// Reads a path. A relative one starts at the configuration's directory.
pub(super) fn file(given: &Given, directory: &Path) -> Result<PathBuf, &'static str> {
    match given.text()? {
        "" => Err("must be a path"),
        // Not repeated, because problems are logged.
        text if SECRET_PREFIXES.iter().any(|prefix| text.starts_with(prefix)) => {
            Err("must be the path of a file, and this looks like the secret itself")
        }
        path => Ok(directory.join(path)),
    }
}

/// Reads the secret in the file that `key` names. Warns if every user of the machine can read it.
pub(super) fn secret(section: &mut Section, key: &str, directory: &Path) -> Option<Secret> {
    let (path, secret) = section.optional(key, |given| {
        let path = file(given, directory).map_err(str::to_owned)?;
        let secret = Secret::from_file(&path).map_err(|error| chain(&error))?;
        Ok::<_, String>((path, secret))
    })?;
    warn_of_readers(section, key, &path);
    Some(secret)
}

/// Says why a text is no secret that ImageKit has made, without the text itself. `prefix`: the
/// beginning of such a secret. `None`: it can be one.
pub(super) fn unlike(secret: &Secret, prefix: &str) -> Option<String> {
    let text = secret.expose();
    if text.starts_with(prefix) {
        return None;
    }
    let quoted = text.starts_with(['"', '\'']);
    let remedy =
        if quoted { ": remove the quotes around it, which count as part of it" } else { "" };
    Some(format!("does not begin with {prefix}, as ImageKit's do{remedy}"))
}

/// Warns if every user of the machine can read a secret's file.
pub(super) fn warn_of_readers(section: &Section, key: &str, path: &Path) {
    let readable = |metadata: Metadata| metadata.permissions().mode() & OTHERS_READ != 0;
    if std::fs::metadata(path).is_ok_and(readable) {
        let path = path.display();
        // Only with the right owner: a plain `chmod o-r` would take the file from a service that
        // runs as another user.
        let message = format_args!(
            "{path} can be read by every user: make it readable only to the user that ikgate runs \
             as (chown, then chmod 400); with systemd, keep it root's and pass it with LoadCredential"
        );
        section.warn(key, message);
    }
}
