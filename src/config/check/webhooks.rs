//! Check of `[webhooks]`: secret and clock tolerance of ImageKit's events.

use std::path::Path;

use super::super::value::{Given, Section};
use super::file::secret;
use crate::invalidation::{SigningSecret, WebhookSettings};

pub(super) fn webhooks(webhooks: &mut Section, directory: &Path) -> Option<WebhookSettings> {
    webhooks.must_have("secret_file");
    let secret = secret(webhooks, "secret_file", directory);
    let tolerance = webhooks.get("tolerance", Given::positive_duration);
    secret.map(|secret| WebhookSettings { secret: SigningSecret::new(secret), tolerance })
}
