//! Keys of `[cluster]`: several gateways.

use super::super::spec::KeyDefault::{Required, Value};
use super::super::spec::{Kind, Presence, SectionSpec, restart};

pub(super) const CLUSTER: SectionSpec = SectionSpec {
    name: "cluster",
    presence: Presence::Optional,
    about: "Several gateways as one, by a Redis 7 or Valkey with one primary and \
            `maxmemory-policy noeviction`.",
    page: Some("deploy/fleet.md"),
    keys: &[
        restart(
            "redis_url",
            Kind::Url,
            Required(r#""redis://127.0.0.1:6379""#),
            "The Redis that the gateways share; `rediss://` for TLS. A URL with a password \
             belongs in the variable `IKGATE_CLUSTER__REDIS_URL`.",
        ),
        restart(
            "namespace",
            Kind::Text,
            Value(r#""ikgate""#),
            "Text before the name of every key in Redis.",
        ),
    ],
};
