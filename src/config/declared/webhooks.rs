//! Keys of `[webhooks]`: ImageKit's events.

use super::super::spec::KeyDefault::{Required, Value};
use super::super::spec::{Kind, Presence, SectionSpec, restart};

pub(super) const WEBHOOKS: SectionSpec = SectionSpec {
    name: "webhooks",
    presence: Presence::Optional,
    about: "ImageKit's events, at `POST /webhooks/imagekit`: a file that changes is purged at \
            once.",
    page: Some("deploy/operations.md#purge-a-file-as-soon-as-it-changes"),
    keys: &[
        restart(
            "secret_file",
            Kind::Path,
            Required(r#""webhook.secret""#),
            "File with the whole `whsec_...` text of the webhook in ImageKit's dashboard.",
        ),
        restart(
            "tolerance",
            Kind::Duration,
            Value(r#""5m""#),
            "Largest difference between the time that was signed and the gateway's clock.",
        ),
    ],
};
