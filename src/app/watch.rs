//! File watcher: reloads the private key, the TLS certificate with its key and the revoked tokens
//! when they change.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock, Ticks};
use crate::error_chain::chain;
use crate::gateway::Gateway;
use crate::secret::PrivateKey;
use crate::server::{Drain, Expiry, TlsChange, TlsSlot};

/// Interval between two checks of the files. Each check reads small files; a shorter interval
/// notices a change sooner.
pub(super) const INTERVAL: Duration = Duration::from_secs(5);

/// Interval between two warnings about a certificate that expires soon.
const EXPIRY_WARNING_INTERVAL: Duration = Duration::from_hours(24);

/// Owners of the watched files.
pub(super) type Watched = (Arc<Gateway>, Arc<PrivateKey>, TlsSlot);

/// Reloads changed files at each tick, and logs when a file becomes unusable or usable again.
pub(super) async fn watch(
    (gateway, key, tls): Watched,
    clock: Clock,
    mut ticks: Ticks,
    drain: Drain,
) {
    let mut key_state = FileState::new("the private key");
    let mut tls_state = FileState::new("the TLS certificate or its key");
    let mut revoked_state = FileState::new("the file of revoked tokens");
    // The configuration's check has just warned, if there is something to warn about.
    let mut warned = clock.monotonic();
    let mut logged_key = key.current();
    loop {
        tokio::select! {
            () = ticks.tick() => {}
            () = drain.begun() => return,
        }
        let (read_key, tls, revoked) =
            (Arc::clone(&key), tls.load_full(), gateway.revoked_tokens());
        let read_tls = tls.clone();
        // On a blocking thread: a slow disk must not delay requests.
        let checked = tokio::task::spawn_blocking(move || {
            let key = read_key.refresh();
            let tls = read_tls.map(|tls| tls.refresh().map(|change| change == TlsChange::Changed));
            let revoked = revoked.map(|revoked| revoked.refresh());
            (key, tls, revoked)
        });
        let (key_read, tls_read, revoked) = match checked.await {
            Ok(checked) => checked,
            Err(error) => {
                tracing::error!(
                    %error,
                    "the check of the key and certificate files failed: it runs again at the next tick"
                );
                continue;
            }
        };
        // An upstream call or a probe may have read the new key first.
        let current_key = key.current();
        let key_changed = !Arc::ptr_eq(&logged_key, &current_key);
        logged_key = current_key;
        key_state.note(key_read.as_ref().map_err(|error| error as _).map(|()| key_changed));
        if let Some(read) = &tls_read {
            tls_state.note(read.as_ref().map_err(|error| error as _).copied());
        }
        let tls_changed = matches!(tls_read, Some(Ok(true)));
        if let Some(tls) = &tls
            && (tls_changed || clock.monotonic() >= warned + EXPIRY_WARNING_INTERVAL)
        {
            warned = clock.monotonic();
            warn_of_expiry(tls.expiry(clock.unix_time()));
        }
        if let Some(revoked) = revoked {
            revoked_state.note(revoked.as_ref().map_err(|error| error as _).copied());
        }
    }
}

fn warn_of_expiry(expiry: Expiry) {
    match expiry {
        Expiry::Expired => {
            tracing::warn!("the TLS certificate has expired: no client accepts it, renew it now");
        }
        Expiry::Soon { days } => {
            tracing::warn!(
                days,
                "the TLS certificate expires soon: its renewal has probably failed"
            );
        }
        Expiry::Later => {}
    }
}

/// Last logged state of a file, so that the same state is not logged at each check.
struct FileState {
    file: &'static str,
    usable: bool,
}

impl FileState {
    fn new(file: &'static str) -> Self {
        Self { file, usable: true }
    }

    /// Logs the result of one check, if the state is new. `Ok(true)` means that the file changed.
    fn note(&mut self, checked: Result<bool, &(dyn Error + 'static)>) {
        let file = self.file;
        match checked {
            Ok(true) => tracing::info!("{file} has changed: the new one is in use"),
            Ok(false) if !self.usable => tracing::info!("{file} can be read again"),
            Err(error) if self.usable => {
                let error = chain(error);
                tracing::error!(%error, "{file} cannot be used: the previous one stays in use");
            }
            Ok(false) | Err(_) => {}
        }
        self.usable = checked.is_ok();
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::path::Path;

    use super::*;

    #[test]
    fn a_file_that_cannot_be_used_is_logged_with_the_cause() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let log = tracing_subscriber::fmt().json().with_writer(Arc::new(file.reopen().unwrap()));
        tracing::subscriber::with_default(log.finish(), || {
            let error = PrivateKey::from_file(Path::new("/nonexistent/imagekit.key")).unwrap_err();
            FileState::new("the private key").note(Err(&error));
        });
        let mut line = String::new();
        file.reopen().unwrap().read_to_string(&mut line).unwrap();
        let expected = "\"error\":\"cannot read /nonexistent/imagekit.key: No such file";
        assert!(line.contains(expected), "{line}");
    }
}
