//! Fetcher of an identity provider's key set, in the background.
//!
//! No request waits for it. A token that names an unknown `kid` is refused, and has the set fetched
//! again. While the provider is down, the last good set stays in force.

mod fetch;
mod lifetime;
mod outcome;
mod refresh;
mod schedule;

use std::sync::Arc;

pub use outcome::KeySetOutcome;
use tokio_util::task::AbortOnDropHandle;

use crate::caller::ProviderKeys;
use crate::clock::Clock;

/// Background task that keeps the keys of the configured provider fresh. It ends when this is
/// dropped.
#[derive(Default)]
pub struct KeyRefresher {
    current: Option<(Arc<ProviderKeys>, AbortOnDropHandle<()>)>,
}

impl KeyRefresher {
    /// Refreshes these keys from now on, and no others. If they are the same as before, the running
    /// task goes on.
    pub fn follow(&mut self, keys: Option<Arc<ProviderKeys>>, clock: &Clock) {
        let same = match (&self.current, &keys) {
            (Some((own, _)), Some(new)) => Arc::ptr_eq(own, new),
            (current, new) => current.is_none() && new.is_none(),
        };
        if !same {
            self.current = keys.map(|keys| {
                let task = tokio::spawn(refresh::keep_fresh(Arc::clone(&keys), clock.clone()));
                (keys, AbortOnDropHandle::new(task))
            });
        }
    }
}
