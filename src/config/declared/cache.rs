//! Keys of `[cache]`: size and freshness of stored lists.

use super::super::spec::KeyDefault::Value;
use super::super::spec::{Kind, Presence, SectionSpec, live, restart};

pub(super) const CACHE: SectionSpec = SectionSpec {
    name: "cache",
    presence: Presence::Always,
    about: "",
    page: None,
    keys: &[
        restart(
            "max_bytes",
            Kind::Size,
            Value(r#""256MiB""#),
            "Memory of stored responses: bodies, codings, keys and bookkeeping.",
        ),
        live("ttl", Kind::Duration, Value(r#""60s""#), "Time for which a list is fresh."),
        live(
            "ttl_jitter_percent",
            Kind::Percent,
            Value("10"),
            "A ttl is shortened by up to this, so that not all lists end at once.",
        ),
        live(
            "stale_while_revalidate",
            Kind::Duration,
            Value(r#""5m""#),
            "Time after the ttl in which a list is answered at once, while the next one is \
             fetched.",
        ),
        live(
            "stale_if_error",
            Kind::Duration,
            Value(r#""1h""#),
            "Time after the ttl in which a list is answered when fetching the next one failed.",
        ),
        live(
            "not_found_ttl",
            Kind::Duration,
            Value(r#""10s""#),
            "Time for which a 404 or 400 of ImageKit is fresh. They may use 1/32 of `max_bytes`.",
        ),
        live(
            "settle",
            Kind::Duration,
            Value(r#""2s""#),
            "Longest ttl of a list that is fetched within this time after a purge of its file.",
        ),
        live(
            "browser_max_age",
            Kind::Duration,
            Value(r#""0s""#),
            "Time for which browsers may use a list without a new request.",
        ),
        live(
            "expose_private",
            Kind::Boolean,
            Value("false"),
            "`false`: a private file does not exist for callers without a key, nor for tokens \
             that do not name it.",
        ),
    ],
};
