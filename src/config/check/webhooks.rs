//! Check of `[webhooks]`: secret and clock tolerance of ImageKit's events.

use std::path::Path;

use super::super::given::Given;
use super::super::section::Section;
use super::file::{WEBHOOK_SECRET_PREFIX, secret, unlike};
use crate::invalidation::{SigningSecret, WebhookSettings};

pub(super) fn webhooks(webhooks: &mut Section, directory: &Path) -> Option<WebhookSettings> {
    webhooks.must_have("secret_file");
    let secret = secret(webhooks, "secret_file", directory);
    let wrong = secret.as_ref().and_then(|secret| unlike(secret, WEBHOOK_SECRET_PREFIX));
    if let Some(wrong) = wrong {
        let message = format_args!("the secret {wrong}; webhooks that ImageKit signs are refused");
        webhooks.warn("secret_file", message);
    }
    let tolerance = webhooks.get("tolerance", Given::positive_duration);
    secret.map(|secret| WebhookSettings { secret: SigningSecret::new(secret), tolerance })
}
