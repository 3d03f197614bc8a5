//! Keys of `[[callers]]`: callers with a key.

use super::super::spec::KeyDefault::{Off, Required, Value};
use super::super::spec::{Kind, Presence, SectionSpec, live};

pub(super) const CALLERS: SectionSpec = SectionSpec {
    name: "callers",
    presence: Presence::List,
    about: "One block for each caller with a key, at most 1000, as `ikgate keygen` prints it.",
    page: None,
    keys: &[
        live(
            "name",
            Kind::Name,
            Required(r#""web-team""#),
            "Name of the caller, as metrics and `RateLimit` show it.",
        ),
        live(
            "key_sha256",
            Kind::Digests,
            Required(r#""0000000000000000000000000000000000000000000000000000000000000000""#),
            "SHA-256 of the key; two while a key is replaced.",
        ),
        live(
            "quota",
            Kind::Quota,
            Value("{ per_second = 50, burst = 100 }"),
            "Quota of this caller.",
        ),
        live(
            "files",
            Kind::FileIds,
            Off(r#"["64a1b2c3d4e5f60718293a4b"]"#),
            "The only files that the caller may read; every file when absent.",
        ),
    ],
};
