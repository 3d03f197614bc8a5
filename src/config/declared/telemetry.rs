//! Keys of `[telemetry]`: log and access log.

use super::super::spec::KeyDefault::Value;
use super::super::spec::{Kind, Presence, SectionSpec, live, restart};

pub(super) const TELEMETRY: SectionSpec = SectionSpec {
    name: "telemetry",
    presence: Presence::Always,
    about: "",
    page: None,
    keys: &[
        live(
            "log",
            Kind::Filter,
            Value(r#""info""#),
            "Level, or directives like `info,ikgate::upstream=debug`.",
        ),
        restart("format", Kind::Name, Value(r#""json""#), "`json` or `pretty`."),
        restart(
            "access_log",
            Kind::Name,
            Value(r#""errors""#),
            "Requests that get a line: `all`, those that failed (`errors`), or `off`.",
        ),
    ],
};
