//! Refresh task: fetches the key set when it is due, and puts it in force.

use std::sync::Arc;

use super::fetch::{FetchError, FetchedSet, fetch};
use super::outcome::KeySetOutcome;
use super::schedule::{Fetched, Schedule};
use crate::caller::{KeySetChange, ParsedKeySet, ProviderKeys};
use crate::clock::Clock;
use crate::error_chain::chain;

/// Keeps the keys fresh until the task is aborted.
pub(super) async fn keep_fresh(keys: Arc<ProviderKeys>, clock: Clock) {
    let mut schedule = Schedule::new(clock.monotonic());
    let mut log = FetchLog { failing: false };
    loop {
        tokio::select! {
            () = clock.sleep_until(schedule.due()) => {}
            () = keys.refresh_requested() => clock.sleep_until(schedule.due_on_request()).await,
        }
        let began = clock.monotonic();
        let fetched = match fetch(keys.provider()).await {
            Ok(FetchedSet { parsed, lifetime }) => {
                let change = keys.replace(&parsed.set);
                log.succeeded(&keys, &parsed, change);
                KeySetOutcome::Fetched.emit();
                Fetched::Set { lifetime }
            }
            Err(error) => {
                let kept = keys.is_loaded();
                log.failed(&keys, &error, kept);
                KeySetOutcome::Failed.emit();
                if kept { Fetched::KeptOlder } else { Fetched::None }
            }
        };
        schedule = Schedule::after(began, fetched);
    }
}

/// Last logged state, so that a provider that is down is not logged at each fetch.
struct FetchLog {
    failing: bool,
}

impl FetchLog {
    fn succeeded(&mut self, keys: &ProviderKeys, parsed: &ParsedKeySet, change: KeySetChange) {
        let url = &keys.provider().url;
        let (used, skipped) = (parsed.set.keys().len(), parsed.skipped.len());
        if change == KeySetChange::Changed {
            tracing::info!(%url, used, skipped, "jwt.jwks_url: a new key set is in force");
            for reason in &parsed.skipped {
                tracing::info!(%url, %reason, "jwt.jwks_url: a key of the set is not used");
            }
            if used == 0 {
                tracing::warn!(%url, "jwt.jwks_url: the key set has no usable key: all tokens are refused");
            }
        } else if self.failing {
            tracing::info!(%url, "jwt.jwks_url: the key set can be fetched again");
        }
        self.failing = false;
    }

    fn failed(&mut self, keys: &ProviderKeys, error: &FetchError, kept: bool) {
        let (url, error) = (&keys.provider().url, chain(error));
        if self.failing {
            tracing::debug!(%url, %error, "jwt.jwks_url: the key set still cannot be fetched");
        } else if kept {
            tracing::warn!(
                %url, %error,
                "jwt.jwks_url: the key set cannot be fetched: the last one stays in force"
            );
        } else {
            tracing::warn!(
                %url, %error,
                "jwt.jwks_url: the key set cannot be fetched: all tokens are refused until it can"
            );
        }
        self.failing = true;
    }
}
