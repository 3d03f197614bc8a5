//! All events and the fields of the access log: the one declaration that counting and reference
//! use.

use super::declared::{
    AUTH_FAILURES, CONFIG_RELOADS, CONNECTION_DEADLINES, CONNECTIONS_REFUSED, INVALIDATIONS,
    KEY_SET_FETCHES, REQUEST_DURATION, REQUESTS, RESPONSE_BYTES, SECOND_LEVEL, THROTTLED,
    UPSTREAM_DURATION, UPSTREAM_REQUESTS, WEBHOOK_LAST, WEBHOOKS,
};
use super::metric::MetricSpec;

/// Declaration of an event. The emitting modules write the target themselves; a test compares them.
pub(super) struct EventSpec {
    pub(super) target: &'static str,
    /// Clause that ends the sentence "The event is emitted ...".
    pub(super) emitted: &'static str,
    /// Numeric fields that are counted, by slot.
    pub(super) counted_fields: &'static [&'static str],
    /// Further fields.
    pub(super) other_fields: &'static [&'static str],
    pub(super) counted_in: Destination,
}

/// Place where an event can be seen.
pub(super) enum Destination {
    /// Line of the log.
    Log,
    /// These metrics, by code of their own in `metrics_layer`.
    Metrics(&'static [&'static MetricSpec]),
    /// This counter, by its only label. The event's only field is the number of the label's value.
    Outcomes(&'static MetricSpec),
}

/// Events that are counted, and are no lines of the log. The targets have dots, so that no module
/// path is equal to one of them.
pub(super) static COUNTED: [EventSpec; 11] = [
    EventSpec {
        target: "ikgate.exchange",
        emitted: "when a request has ended, in any way; its log line is `ikgate.access`",
        counted_fields: &[
            "route",
            "caller",
            "cache",
            "status",
            "coding",
            "bytes",
            "duration_nanos",
            "ending",
        ],
        other_fields: &[
            "request.id",
            "client.addr",
            "method",
            "file.id",
            "error.code",
            "auth.reason",
            "trace.id",
        ],
        counted_in: Destination::Metrics(&[&REQUESTS, &REQUEST_DURATION, &RESPONSE_BYTES]),
    },
    EventSpec {
        target: "ikgate.upstream",
        emitted: "when a call has ended, or was not made",
        counted_fields: &["outcome", "duration_nanos"],
        other_fields: &["file.id"],
        counted_in: Destination::Metrics(&[&UPSTREAM_REQUESTS, &UPSTREAM_DURATION]),
    },
    EventSpec {
        target: "ikgate.invalidation",
        emitted: "when a file or everything is purged",
        counted_fields: &["source", "mode"],
        other_fields: &[],
        counted_in: Destination::Metrics(&[&INVALIDATIONS]),
    },
    EventSpec {
        target: "ikgate.webhook",
        emitted: "when a delivery has been judged",
        counted_fields: &["outcome", "unix_seconds"],
        other_fields: &[],
        counted_in: Destination::Metrics(&[&WEBHOOKS, &WEBHOOK_LAST]),
    },
    EventSpec {
        target: "ikgate.second_level",
        emitted: "when a gateway of a fleet has looked up a list in Redis, or has stored one \
                  there; a request that is answered from Redis counts as `cache=\"miss\"`",
        counted_fields: &["outcome"],
        other_fields: &[],
        counted_in: Destination::Outcomes(&SECOND_LEVEL),
    },
    EventSpec {
        target: "ikgate.throttled",
        emitted: "when a limit refuses",
        counted_fields: &["caller", "limit"],
        other_fields: &[],
        counted_in: Destination::Metrics(&[&THROTTLED]),
    },
    EventSpec {
        target: "ikgate.auth_failure",
        emitted: "when a credential is refused",
        counted_fields: &["reason"],
        other_fields: &[],
        counted_in: Destination::Outcomes(&AUTH_FAILURES),
    },
    EventSpec {
        target: "ikgate.key_set_fetch",
        emitted: "when a fetch of the identity provider's key set has ended",
        counted_fields: &["outcome"],
        other_fields: &[],
        counted_in: Destination::Outcomes(&KEY_SET_FETCHES),
    },
    EventSpec {
        target: "ikgate.connection_refused",
        emitted: "when a connection is not accepted",
        counted_fields: &["reason"],
        other_fields: &[],
        counted_in: Destination::Outcomes(&CONNECTIONS_REFUSED),
    },
    EventSpec {
        target: "ikgate.connection_deadline",
        emitted: "when the gateway ends a connection at a deadline",
        counted_fields: &["deadline"],
        other_fields: &[],
        counted_in: Destination::Outcomes(&CONNECTION_DEADLINES),
    },
    EventSpec {
        target: "ikgate.config_reload",
        emitted: "when a reload has ended",
        counted_fields: &["outcome"],
        other_fields: &[],
        counted_in: Destination::Outcomes(&CONFIG_RELOADS),
    },
];

/// Events that are lines of the log.
pub(super) static LOGGED: [EventSpec; 2] = [
    EventSpec {
        target: "ikgate.state_change",
        emitted: "when the upstream stops or works again, refuses or accepts the key, or asks to \
                  wait; when the connection to the fleet's Redis is made or lost. `part` is \
                  `breaker`, `private_key`, `budget` or `cluster`; `state` is `open`, `closed`, \
                  `refused`, `accepted`, `paused`, `connected` or `disconnected`; `wait` is the \
                  time for which calls pause; `error` is the cause of a lost connection",
        counted_fields: &[],
        other_fields: &["part", "state", "wait", "error"],
        counted_in: Destination::Log,
    },
    EventSpec {
        target: "ikgate::...",
        emitted: "for other lines, by module: purges with their source and mode, reloads, files \
                  that changed, start and drain",
        counted_fields: &[],
        other_fields: &["message"],
        counted_in: Destination::Log,
    },
];

/// Fields of a line of the access log, and what they mean.
pub(super) static ACCESS_LOG: [(&str, &str); 18] = [
    ("timestamp", "time in RFC 3339, to the microsecond"),
    ("level", "`INFO`"),
    ("target", "`ikgate.access`"),
    ("caller", "a configured name, `jwt`, `anonymous` or `none`"),
    ("client.addr", "the client's address, as far as trusted proxies say"),
    ("method", "`GET`, `HEAD`, `OPTIONS`, `POST` or `other`"),
    ("route", "what was requested: the `route` of the metrics"),
    ("file.id", "id of the file that a read named"),
    ("status", "status of the response; 499: the client left before there was one"),
    ("error.code", "error code, if the gateway made the error itself"),
    ("auth.reason", "reason why the credential was not accepted: the `reason` of the metrics"),
    ("cache", "outcome of the cache: the `cache` of the metrics"),
    ("bytes", "bytes of the body that the connection took"),
    ("coding", "coding of the body"),
    ("duration_us", "microseconds from the request's head until the response's head is ready"),
    ("ending", "`answered`, `left_before_head`, `left_during_body` or `panicked`"),
    ("request.id", "id, as answered in `X-Request-Id`"),
    ("trace.id", "trace id of a trusted proxy's `traceparent`, if there is one"),
];
