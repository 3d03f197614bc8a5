//! Keys of `[jwt]`: browser tokens.

use super::super::spec::KeyDefault::{Required, Value};
use super::super::spec::{Kind, Presence, SectionSpec, live};

pub(super) const JWT: SectionSpec = SectionSpec {
    name: "jwt",
    presence: Presence::Optional,
    about: "Tokens that a team's own back end signs for its pages.",
    page: Some("deploy/pages.md"),
    keys: &[
        live(
            "algorithm",
            Kind::Name,
            Value(r#""EdDSA""#),
            "Algorithm of the key: `EdDSA`, `ES256`, `RS256` or `HS256`. A token's own `alg` must \
             be the same.",
        ),
        live(
            "key_file",
            Kind::Path,
            Required(r#""jwt.pub""#),
            "Public key in PEM; for HS256 a secret of at least 32 bytes.",
        ),
        live("issuer", Kind::Text, Required(r#""https://app.example.com""#), "The token's `iss`."),
        live("audience", Kind::Text, Value(r#""ikgate""#), "The token's `aud`, or one of them."),
        live("quota", Kind::Quota, Value("{ per_second = 5, burst = 20 }"), "Quota of each `sub`."),
    ],
};
