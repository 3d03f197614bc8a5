//! Keys of `[cors]`: pages that may read answers.

use super::super::spec::KeyDefault::{Required, Value};
use super::super::spec::{Kind, Presence, SectionSpec, live};

pub(super) const CORS: SectionSpec = SectionSpec {
    name: "cors",
    presence: Presence::Optional,
    about: "Pages of other origins that may read answers.",
    page: Some("deploy/pages.md"),
    keys: &[
        live(
            "allowed_origins",
            Kind::Origins,
            Required(r#"["https://app.example.com", "https://*.example.com"]"#),
            "Pages that may read answers. The `*` of `https://*.example.com` is exactly one label. \
             `http://localhost:*` and `http://127.0.0.1:*` are any port, for development.",
        ),
        live(
            "max_age",
            Kind::Duration,
            Value(r#""10m""#),
            "Time for which a browser may remember a preflight.",
        ),
    ],
};
