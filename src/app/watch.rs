//! Files that change while the gateway runs: the private key, and the certificate with its key.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Ticks;
use crate::secret::{KeyChange, PrivateKey};
use crate::server::{Drain, TlsChange, TlsSlot};

/// How often they are looked at. More often notices a change sooner; each look reads small files.
pub(super) const INTERVAL: Duration = Duration::from_secs(5);

/// Takes what has changed without a restart, and says so when something cannot be used any more.
pub(super) async fn watch(key: Arc<PrivateKey>, tls: TlsSlot, mut due: Ticks, drain: Drain) {
    let mut key_told = Told::new("the private key");
    let mut tls_told = Told::new("the TLS certificate or its key");
    loop {
        tokio::select! {
            () = due.tick() => {}
            () = drain.begun() => return,
        }
        let (key, tls) = (Arc::clone(&key), tls.load_full());
        // A disk that takes its time must not keep requests.
        let looked = tokio::task::spawn_blocking(move || {
            let key = key.refresh().map(|change| change == KeyChange::Changed);
            let tls = tls.map(|tls| tls.refresh().map(|change| change == TlsChange::Changed));
            (key, tls)
        });
        let (key, tls) = match looked.await {
            Ok(looked) => looked,
            Err(error) => {
                tracing::error!(%error, "files could not be looked at");
                continue;
            }
        };
        key_told.note(key.as_ref().map_err(|error| error as _).copied());
        if let Some(tls) = tls {
            tls_told.note(tls.as_ref().map_err(|error| error as _).copied());
        }
    }
}

/// What was said last of something: it is not repeated at each look.
struct Told {
    what: &'static str,
    usable: bool,
}

impl Told {
    fn new(what: &'static str) -> Self {
        Self { what, usable: true }
    }

    /// `Ok(true)`: it has changed.
    fn note(&mut self, looked: Result<bool, &(dyn Error + 'static)>) {
        let what = self.what;
        match looked {
            Ok(true) => tracing::info!("{what} has changed"),
            Ok(false) if !self.usable => tracing::info!("{what} can be read again"),
            Err(error) if self.usable => {
                tracing::error!(error, "{what} cannot be used; the last one stays in use");
            }
            Ok(false) | Err(_) => {}
        }
        self.usable = looked.is_ok();
    }
}
