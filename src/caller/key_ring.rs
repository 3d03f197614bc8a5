//! Keys in force: lookup by `kid`, and withdrawal.
//!
//! A cached token points to the key that verified it. A key that a new set lacks is marked as
//! withdrawn, which refuses all its tokens at once, without a search through the cache.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwapOption;
use jsonwebtoken::Validation;
use tokio::sync::Notify;

use super::failure::AuthFailure;
use super::key_set::{KeySet, NamedKey};
use super::token_key::{TokenAlgorithm, TokenKey};
use super::token_keys::{KeyProvider, TokenKeys};

/// Key that verifies tokens until it is withdrawn.
#[derive(Debug)]
pub(super) struct KeyInForce {
    key: TokenKey,
    validation: Validation,
    withdrawn: AtomicBool,
}

/// Keys in force, each with its `kid`.
pub(super) struct KeyRing(Vec<(Box<str>, Arc<KeyInForce>)>);

/// Keys that the configured settings put in force.
pub(super) enum KeysInForce {
    One(Arc<KeyInForce>),
    ByKid(KeyRing),
    Provider(Arc<ProviderKeys>),
}

/// Keys of an identity provider, replaced while they are in use.
pub struct ProviderKeys {
    provider: KeyProvider,
    /// `None` until the provider has answered once.
    ring: ArcSwapOption<KeyRing>,
    requested: Notify,
}

/// Result of a new key set.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum KeySetChange {
    Changed,
    Unchanged,
}

impl KeyInForce {
    fn new(key: TokenKey) -> Arc<Self> {
        // The library checks signature and algorithm only. The claims are checked against our own
        // clock.
        let mut validation = Validation::new(key.algorithm().registered());
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_aud = false;
        Arc::new(Self { key, validation, withdrawn: AtomicBool::new(false) })
    }

    pub(super) fn key(&self) -> &TokenKey {
        &self.key
    }

    pub(super) fn validation(&self) -> &Validation {
        &self.validation
    }

    pub(super) fn is_withdrawn(&self) -> bool {
        self.withdrawn.load(Ordering::Relaxed)
    }

    fn algorithm(&self) -> TokenAlgorithm {
        self.key.algorithm()
    }
}

impl KeyRing {
    /// Returns the ring of a set. Keys that `before` has too stay in force.
    fn new(set: &KeySet, before: Option<&Self>) -> Self {
        let in_force = |new: &NamedKey| {
            let kept = before
                .and_then(|before| before.of_kid(&new.kid).find(|own| own.key == new.key).cloned());
            kept.unwrap_or_else(|| KeyInForce::new(new.key.clone()))
        };
        Self(set.keys().iter().map(|new| (new.kid.clone(), in_force(new))).collect())
    }

    fn of_kid<'a>(&'a self, kid: &'a str) -> impl Iterator<Item = &'a Arc<KeyInForce>> {
        self.0.iter().filter(move |(own, _)| **own == *kid).map(|(_, key)| key)
    }

    fn contains(&self, key: &Arc<KeyInForce>) -> bool {
        self.0.iter().any(|(_, own)| Arc::ptr_eq(own, key))
    }

    /// Returns the key that a token's header names.
    fn find(&self, kid: Option<&str>, algorithm: &str) -> Result<Arc<KeyInForce>, AuthFailure> {
        let kid = kid.ok_or(AuthFailure::UnknownKid)?;
        let mut failure = AuthFailure::UnknownKid;
        for key in self.of_kid(kid) {
            if key.algorithm().as_str() == algorithm {
                return Ok(Arc::clone(key));
            }
            failure = AuthFailure::TokenAlgorithm;
        }
        Err(failure)
    }
}

impl KeysInForce {
    /// Puts the configured keys in force. Those of `before` are kept if they come from the same URL.
    pub(super) fn new(settings: &TokenKeys, before: Option<&Self>) -> Self {
        match (settings, before) {
            (TokenKeys::One(key), _) => Self::One(KeyInForce::new(key.clone())),
            (TokenKeys::ByKid(set), _) => Self::ByKid(KeyRing::new(set, None)),
            (TokenKeys::Provider(provider), Some(Self::Provider(keys)))
                if keys.provider == *provider =>
            {
                Self::Provider(Arc::clone(keys))
            }
            (TokenKeys::Provider(provider), before) => {
                let keys = ProviderKeys::new(provider.clone());
                if let Some(Self::Provider(before)) = before {
                    keys.take_over(before);
                }
                Self::Provider(Arc::new(keys))
            }
        }
    }

    /// Returns the key that a token's header names. The token's algorithm is the key's own.
    pub(super) fn find(
        &self,
        kid: Option<&str>,
        algorithm: &str,
    ) -> Result<Arc<KeyInForce>, AuthFailure> {
        match self {
            Self::One(key) if key.algorithm().as_str() == algorithm => Ok(Arc::clone(key)),
            Self::One(_) => Err(AuthFailure::TokenAlgorithm),
            Self::ByKid(ring) => ring.find(kid, algorithm),
            Self::Provider(keys) => keys.find(kid, algorithm),
        }
    }

    pub(super) fn provider(&self) -> Option<&Arc<ProviderKeys>> {
        match self {
            Self::Provider(keys) => Some(keys),
            Self::One(_) | Self::ByKid(_) => None,
        }
    }
}

impl ProviderKeys {
    pub fn new(provider: KeyProvider) -> Self {
        Self { provider, ring: ArcSwapOption::empty(), requested: Notify::new() }
    }

    /// Puts the keys of `before` in force, if they come from the same URL and their algorithms are
    /// still configured. A provider that is down during a reload then withdraws nothing.
    fn take_over(&self, before: &Self) {
        if before.provider.url != self.provider.url {
            return;
        }
        let ring = before.ring.load();
        let Some(ring) = ring.as_ref() else { return };
        let is_configured = |key: &KeyInForce| self.provider.algorithms.contains(&key.algorithm());
        let kept = ring.0.iter().filter(|(_, key)| is_configured(key)).cloned().collect();
        self.ring.store(Some(Arc::new(KeyRing(kept))));
    }

    pub fn provider(&self) -> &KeyProvider {
        &self.provider
    }

    /// Returns whether the provider has answered with a key set.
    pub fn is_loaded(&self) -> bool {
        self.ring.load().is_some()
    }

    /// Puts a new set in force, and withdraws the keys that it does not contain.
    pub fn replace(&self, set: &KeySet) -> KeySetChange {
        let before = self.ring.load_full();
        let ring = Arc::new(KeyRing::new(set, before.as_deref()));
        self.ring.store(Some(Arc::clone(&ring)));
        // After the swap: a token that is verified meanwhile holds the key that is marked here.
        let withdrawn = before.iter().flat_map(|before| &before.0);
        let withdrawn = withdrawn.filter(|(_, key)| !ring.contains(key));
        let withdrawn = withdrawn.map(|(_, key)| key.withdrawn.store(true, Ordering::Relaxed));
        let withdrawn = withdrawn.count();
        let unchanged = before.is_some_and(|before| before.0.len() == ring.0.len());
        if unchanged && withdrawn == 0 { KeySetChange::Unchanged } else { KeySetChange::Changed }
    }

    /// Waits until a token has named a `kid` that is not known. Requests meanwhile count as one.
    pub async fn refresh_requested(&self) {
        self.requested.notified().await;
    }

    fn find(&self, kid: Option<&str>, algorithm: &str) -> Result<Arc<KeyInForce>, AuthFailure> {
        let ring = self.ring.load();
        // The refresh task tries again by itself until the provider has answered.
        let ring = ring.as_ref().ok_or(AuthFailure::NoKeys)?;
        let found = ring.find(kid, algorithm);
        if kid.is_some() && matches!(found, Err(AuthFailure::UnknownKid)) {
            self.requested.notify_one();
        }
        found
    }
}
