//! All labels of metrics, with their values: the one declaration that the reference uses.
//!
//! The values come from the enums that are counted. A value without a meaning fails a test.

use super::metric::LabelSpec;
use super::reload_outcome::ReloadOutcome;
use crate::cache::PurgeMode;
use crate::caller::AuthFailure;
use crate::cluster::SecondLevelOutcome;
use crate::exchange::{CacheLabel, CallerLabel, RouteLabel};
use crate::invalidation::{InvalidationSource, WebhookOutcome};
use crate::jwks::KeySetOutcome;
use crate::limit::Limit;
use crate::message::Coding;
use crate::server::{Deadline, Refused};
use crate::upstream::UpstreamOutcome;

/// Declares labels, and the list of all.
macro_rules! labels {
    ($($name:ident = $label:expr;)*) => {
        $(pub(super) static $name: LabelSpec = $label;)*

        /// All labels, in the order of the reference.
        pub(super) static ALL: &[&LabelSpec] = &[$(&$name),*];
    };
}

/// Returns the function that lists the texts of an enum's values.
macro_rules! values {
    ($set:ty) => {
        || <$set>::ALL.iter().map(|value| value.as_str()).collect()
    };
}

labels! {
    ROUTE = LabelSpec {
        name: "route",
        heading: "Routes",
        values: values!(RouteLabel),
        meanings: &[
            (
                "list",
                "version list: `/v1/files/{fileId}/versions`; every preflight (`OPTIONS`), too",
            ),
            ("element", "one version: `/v1/files/{fileId}/versions/{versionId}`"),
            ("webhook", "`/webhooks/imagekit`"),
            ("none", "a request for no other route of this table"),
        ],
        others: None,
    };
    CALLER = LabelSpec {
        name: "caller",
        heading: "Callers",
        values: || CallerLabel::FIXED.to_vec(),
        meanings: &[
            ("jwt", "a caller with a token"),
            ("anonymous", "a caller without a credential"),
            ("none", "the caller is not known"),
        ],
        others: Some(("a configured name", "a caller with a key")),
    };
    STATUS = LabelSpec {
        name: "status",
        heading: "Statuses",
        values: Vec::new,
        meanings: &[],
        others: Some((
            "200 to 504, 499",
            "status of the response; 499: the client left before there was one",
        )),
    };
    CACHE = LabelSpec {
        name: "cache",
        heading: "Outcomes of the cache",
        values: values!(CacheLabel),
        meanings: &[
            ("hit", "stored and fresh"),
            ("stale", "stored and stale, answered at once"),
            ("miss", "fetched for this request, or found in the Redis of the fleet"),
            ("collapsed", "fetched for another request that was waiting already"),
            ("stale_error", "stored and stale: no new list could be fetched, or the call was held back"),
            ("none", "the response does not depend on what is stored, such as a 429"),
        ],
        others: None,
    };
    CODING = LabelSpec {
        name: "coding",
        heading: "Codings",
        values: values!(Coding),
        meanings: &[
            ("br", "Brotli"),
            ("gzip", "gzip"),
            ("identity", "no coding"),
        ],
        others: None,
    };
    LIMIT = LabelSpec {
        name: "limit",
        heading: "Limits that refuse",
        values: values!(Limit),
        meanings: &[
            ("caller", "the quota of a caller with a key, or of a token's subject"),
            ("address", "the quota of an anonymous caller's address"),
            ("prefix", "the quota of all IPv6 addresses with the same wide prefix"),
            (
                "auth",
                "the quota of an address, or of a wide prefix, for callers' credentials that fail",
            ),
            ("webhook", "the quota of an address for webhook deliveries, or too many are read at a time"),
        ],
        others: None,
    };
    AUTH_REASON = LabelSpec {
        name: "reason",
        heading: "Reasons of refused credentials",
        values: values!(AuthFailure),
        meanings: &[
            ("missing", "no credential, and anonymous callers are refused"),
            ("malformed", "the `Authorization` field cannot be read"),
            ("duplicate", "there is more than one `Authorization` field"),
            ("unknown_key", "no configured caller has this key"),
            ("imagekit_key", "the caller sent an ImageKit private key, which should be rolled"),
            ("token_malformed", "the token cannot be read"),
            ("token_nbf", "`nbf` is no date"),
            ("token_too_long", "the token has more than 4 KiB"),
            (
                "token_algorithm",
                "`alg` is not `jwt.algorithm`; with `jwt.jwks_url`, not one of `jwt.algorithms`",
            ),
            ("token_critical", "critical header parameters"),
            ("token_exp", "`exp` is missing or no date"),
            (
                "token_signature",
                "the signature was made with another key than the one that `kid` names, or than the only one",
            ),
            ("token_claims", "the claims are not one JSON object, or a name is repeated"),
            ("unknown_kid", "the token's `kid` is missing or names no accepted key"),
            ("no_keys", "the identity provider has not given any keys yet"),
            ("revoked", "the token's `jti` or `sub` is in `jwt.revoked_file`"),
            ("token_subject", "`sub` is missing or empty"),
            ("tokens_off", "a token, where no `[jwt]` is configured"),
            ("no_callers", "a caller key, where only `[jwt]` is configured"),
            ("token_files", "`files` names too many ids, or something that is no id"),
            ("token_iat", "`iat` is missing or no date"),
            ("token_issuer", "another `iss`"),
            ("token_jti", "`jti` is not text"),
            ("token_audience", "another `aud`"),
            ("token_expired", "by `exp`"),
            ("token_not_yet_valid", "by `nbf` or `iat`"),
            ("token_lifetime", "`exp` is before `iat`, or more than an hour after it"),
        ],
        others: None,
    };
    CALL_OUTCOME = LabelSpec {
        name: "outcome",
        heading: "Outcomes of calls",
        values: values!(UpstreamOutcome),
        meanings: &[
            ("ok", "ImageKit's 200"),
            ("not_found", "ImageKit's 404"),
            ("bad_request", "ImageKit's 400"),
            ("auth", "ImageKit refused the gateway's private key: 401 or 403"),
            ("busy", "ImageKit's 429"),
            (
                "bad",
                "an answer that cannot be used: truncated, too large, no JSON array, 5xx, 3xx or \
                 any other status",
            ),
            ("timeout", "no answer in time"),
            ("unreachable", "no connection, or one that ended before a response"),
            ("budget", "not made: the budget is spent"),
            ("breaker_open", "not made: too many failures in a row"),
            ("auth_stopped", "not made: the private key was refused three times in a row"),
            ("queue_full", "not made: no call of `upstream.max_concurrency` was free in time, or too many fills were waiting"),
        ],
        others: None,
    };
    SOURCE = LabelSpec {
        name: "source",
        heading: "Sources of purges",
        values: values!(InvalidationSource),
        meanings: &[
            ("admin", "a request to the admin listener"),
            (
                "cluster",
                "this gateway itself, when it joins its fleet or may have missed a purge",
            ),
            ("webhook", "an event of ImageKit"),
        ],
        others: None,
    };
    PURGE_KIND = LabelSpec {
        name: "kind",
        heading: "Kinds of purges",
        values: values!(PurgeMode),
        meanings: &[
            ("hard", "what is stored is not used again"),
            ("soft", "the ttl ends, and what is stored may be answered while it is stale"),
        ],
        others: None,
    };
    WEBHOOK_OUTCOME = LabelSpec {
        name: "outcome",
        heading: "Outcomes of webhooks",
        values: values!(WebhookOutcome),
        meanings: &[
            ("applied", "lists were purged"),
            ("partial", "lists were purged here; the fleet could not be told yet"),
            ("duplicate", "the event had been applied before"),
            ("ignored", "the event concerns no list"),
            ("invalid_event", "signed, and not an event that can be understood"),
            ("incorrect_signature", "the signature does not hold"),
            ("malformed_signature", "the signature cannot be read"),
            ("missing_signature", "there is no signature"),
            ("out_of_tolerance", "the signed time is further away than `webhooks.tolerance`"),
            ("busy", "not read: too many at once, or from one address"),
            ("unread", "the body was too long, or did not come in time"),
        ],
        others: None,
    };
    REFUSAL = LabelSpec {
        name: "reason",
        heading: "Reasons of refused connections",
        values: values!(Refused),
        meanings: &[
            ("per_ip", "one address has its maximum"),
            ("out_of_files", "no file descriptor or memory: attempts to accept, ten a second"),
            ("handshake", "no valid TLS handshake"),
        ],
        others: None,
    };
    DEADLINE = LabelSpec {
        name: "deadline",
        heading: "Deadlines of connections",
        values: values!(Deadline),
        meanings: &[
            ("handshake", "the TLS handshake took longer than `server.header_timeout`"),
            ("header", "a head took longer than `server.header_timeout`"),
            ("idle", "no request came within `server.idle_timeout`"),
            ("write_stall", "the client took nothing for `server.write_stall_timeout`"),
            ("age", "the connection reached `server.max_connection_age`"),
            (
                "abandoned",
                "over HTTP/2 the client gave up over 200 requests more than were answered",
            ),
        ],
        others: None,
    };
    RELOAD_OUTCOME = LabelSpec {
        name: "outcome",
        heading: "Outcomes of reloads",
        values: values!(ReloadOutcome),
        meanings: &[
            ("applied", "the new configuration is in force"),
            ("refused", "the new configuration has a problem; the old one stays in force"),
        ],
        others: None,
    };
    KEY_SET_OUTCOME = LabelSpec {
        name: "outcome",
        heading: "Outcomes of fetching a key set",
        values: values!(KeySetOutcome),
        meanings: &[
            ("fetched", "the provider sent a key set, whether it is new or the one in force"),
            ("failed", "the provider sent none that can be used; the last one stays in force, if there is one"),
        ],
        others: None,
    };
    SECOND_LEVEL_OUTCOME = LabelSpec {
        name: "outcome",
        heading: "Outcomes of the second level",
        values: values!(SecondLevelOutcome),
        meanings: &[
            ("hit", "a list was found"),
            ("miss", "no list was found"),
            ("kept", "a list was stored"),
            ("refused", "a list was not stored: purged since, or too late"),
            ("failed", "Redis failed or was slow"),
        ],
        others: None,
    };
    VERSION = LabelSpec {
        name: "version",
        heading: "Versions",
        values: Vec::new,
        meanings: &[],
        others: Some(("like 0.2.0", "version of the program")),
    };
}
