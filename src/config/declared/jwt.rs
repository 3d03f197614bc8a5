//! Keys of `[jwt]`: browser tokens.

use super::super::spec::KeyDefault::{Off, Required, Value};
use super::super::spec::{Kind, Presence, SectionSpec, live};

pub(super) const JWT: SectionSpec = SectionSpec {
    name: "jwt",
    presence: Presence::Optional,
    about: "Tokens for pages, signed by a team's own back end or by its identity provider.",
    page: Some("deploy/pages.md"),
    keys: &[
        live(
            "algorithm",
            Kind::Name,
            Value(r#""EdDSA""#),
            "Algorithm of `key_file` or `key_files`: `EdDSA`, `ES256`, `RS256` or `HS256`. A \
             token's own `alg` must be the same.",
        ),
        live(
            "key_file",
            Kind::Path,
            Off(r#""jwt.pub""#),
            "Public key in PEM; for HS256 a secret of at least 32 bytes. Exactly one of \
             `key_file`, `key_files` and `jwks_url` is required.",
        ),
        live(
            "key_files",
            Kind::PathsByKid,
            Off(r#"{ "2026-10" = "old.pub", "2026-11" = "new.pub" }"#),
            "Several keys, each by the `kid` of the tokens that it signs; at most 64.",
        ),
        live(
            "jwks_url",
            Kind::Url,
            Off(r#""https://idp.example.com/.well-known/jwks.json""#),
            "Key set of an identity provider; `http://` only for a loopback host.",
        ),
        live(
            "algorithms",
            Kind::Names,
            Value(r#"["RS256", "ES256"]"#),
            "Algorithms of the keys of `jwks_url`; also `EdDSA`, never `HS256`.",
        ),
        live("issuer", Kind::Text, Required(r#""https://app.example.com""#), "The token's `iss`."),
        live("audience", Kind::Text, Value(r#""ikgate""#), "The token's `aud`, or one of them."),
        live(
            "revoked_file",
            Kind::Path,
            Off(r#""revoked.txt""#),
            "Revoked tokens: one `jti`, or `sub:` and a subject, a line. It is read again when it \
             changes.",
        ),
        live("quota", Kind::Quota, Value("{ per_second = 5, burst = 20 }"), "Quota of each `sub`."),
    ],
};
