//! Keys of `[upstream]`: connection to ImageKit, and the account's budget.

use super::super::spec::KeyDefault::{Off, Required, Value};
use super::super::spec::{Kind, Presence, SectionSpec, restart};

pub(super) const UPSTREAM: SectionSpec = SectionSpec {
    name: "upstream",
    presence: Presence::Always,
    about: "",
    page: None,
    keys: &[
        restart(
            "url",
            Kind::Url,
            Value(r#""https://api.imagekit.io""#),
            "ImageKit's API. `http://` is accepted only for loopback hosts.",
        ),
        restart(
            "private_key_file",
            Kind::Path,
            Required(r#""imagekit.key""#),
            "File with ImageKit's private key; or the variable `IMAGEKIT_PRIVATE_KEY`, not both. \
             New content is read without a restart. A restricted key that may only read media is \
             enough.",
        ),
        restart(
            "ca_file",
            Kind::Path,
            Off(r#""ca.pem""#),
            "Certificates in PEM that are trusted besides the platform's.",
        ),
        restart(
            "connect_timeout",
            Kind::Duration,
            Value(r#""2s""#),
            "Time for a connection to ImageKit.",
        ),
        restart(
            "request_timeout",
            Kind::Duration,
            Value(r#""10s""#),
            "Time for a fill, its retries included. A caller waits at most 1 s longer. \
             Within that time, a caller with a credential waits for one more fill, if the budget \
             or the queue refuses the one that it joined. Without caller keys and `[jwt]` this \
             holds for every caller.",
        ),
        restart("max_concurrency", Kind::Count, Value("64"), "Calls in flight at once."),
        restart(
            "max_response_bytes",
            Kind::Size,
            Value(r#""4MiB""#),
            "Largest body of one response, decoded.",
        ),
        restart(
            "max_inflight_bytes",
            Kind::Size,
            Value(r#""64MiB""#),
            "Bytes of all bodies that come from ImageKit and are being read, stored or compressed.",
        ),
        restart(
            "budget",
            Kind::Quota,
            Value("{ per_second = 40, burst = 100 }"),
            "Calls that the account may spend; ImageKit's own `X-RateLimit-*` counts if it is \
             less. If a caller key or `[jwt]` is configured, anonymous callers leave a quarter of \
             the burst. Refreshes leave half.",
        ),
        restart(
            "retries",
            Kind::Table(&[Kind::Count, Kind::Percent]),
            Value("{ max = 2, budget_percent = 20 }"),
            "Most retries of one fill (`max`), and of all fills, as a percentage of recent calls \
             (`budget_percent`).",
        ),
        restart(
            "breaker",
            Kind::Table(&[Kind::Count, Kind::Duration]),
            Value(r#"{ failures = 5, open_for = "5s" }"#),
            "After so many failures in a row no call leaves for `open_for`; then one probe leaves.",
        ),
    ],
};
