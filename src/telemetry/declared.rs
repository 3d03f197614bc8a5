//! All metrics: the one declaration that registration and reference use.

use super::labels::{
    AUTH_REASON, CACHE, CALL_OUTCOME, CALLER, CODING, DEADLINE, KEY_SET_OUTCOME, LIMIT, PURGE_KIND,
    REFUSAL, RELOAD_OUTCOME, ROUTE, SECOND_LEVEL_OUTCOME, SOURCE, STATUS, VERSION, WEBHOOK_OUTCOME,
};
use super::metric::MetricSpec;

/// Declares metrics, and the list of all.
macro_rules! metrics {
    ($($name:ident = $metric:expr;)*) => {
        $(pub(super) static $name: MetricSpec = $metric;)*

        /// All metrics, in the order of the reference.
        pub(super) static ALL: &[&MetricSpec] = &[$(&$name),*];
    };
}

metrics! {
    REQUESTS = MetricSpec::counter("requests", "Number of requests that were answered")
        .by(&[&ROUTE, &CALLER, &STATUS, &CACHE]);
    REQUEST_DURATION = MetricSpec::histogram(
        "request_duration",
        "Time from a request's head to its response's head being ready, in seconds",
    )
    .in_seconds()
    .by(&[&ROUTE, &CACHE]);
    RESPONSE_BYTES =
        MetricSpec::counter("response_bytes", "Bytes of response bodies that were sent")
            .by(&[&CODING]);
    THROTTLED = MetricSpec::counter(
        "throttled",
        "Number of requests that a limit refused, or would have refused in a dry run",
    )
        .by(&[&CALLER, &LIMIT]);
    AUTH_FAILURES = MetricSpec::counter(
        "auth_failures",
        "Number of requests whose credential was refused, or is missing where one is required",
    )
    .by(&[&AUTH_REASON]);
    CORS_REFUSED = MetricSpec::counter(
        "cors_refused",
        "Number of requests of pages whose origin is not in cors.allowed_origins",
    );
    UPSTREAM_REQUESTS = MetricSpec::counter(
        "upstream_requests",
        "Number of calls to ImageKit, and of calls that were not made",
    )
    .by(&[&CALL_OUTCOME]);
    UPSTREAM_DURATION = MetricSpec::histogram(
        "upstream_duration",
        "Duration of a call to ImageKit without its wait for the budget, in seconds",
    )
    .in_seconds();
    UPSTREAM_BUDGET_AVAILABLE = MetricSpec::gauge(
        "upstream_budget_available",
        "Number of calls to ImageKit that the budget allows now",
    );
    UPSTREAM_BREAKER_STATE = MetricSpec::gauge(
        "upstream_breaker_state",
        "State of the circuit breaker for ImageKit: 0 closed, 1 half open, 2 open",
    );
    CACHE_ENTRIES = MetricSpec::gauge("cache_entries", "Number of stored responses");
    CACHE_BYTES =
        MetricSpec::gauge("cache_bytes", "Memory that the stored responses take, in bytes");
    CACHE_BYTES_MAX = MetricSpec::gauge(
        "cache_bytes_max",
        "Memory that the stored responses may take, in bytes: cache.max_bytes",
    );
    CACHE_EVICTIONS = MetricSpec::counter(
        "cache_evictions",
        "Number of stored responses evicted to make room, and of new ones not admitted",
    );
    FILLS_IN_PROGRESS =
        MetricSpec::gauge("fills_in_progress", "Number of files being fetched now");
    INVALIDATIONS =
        MetricSpec::counter("invalidations", "Number of purges of a file or of everything")
            .by(&[&SOURCE, &PURGE_KIND]);
    WEBHOOKS = MetricSpec::counter("webhooks", "Number of webhook deliveries")
        .by(&[&WEBHOOK_OUTCOME]);
    WEBHOOK_LAST = MetricSpec::gauge(
        "webhook_last",
        "Time of the last genuine webhook delivery, in Unix seconds; 0 if there was none",
    )
    .in_seconds();
    CONNECTIONS = MetricSpec::gauge("connections", "Number of open connections");
    CONNECTIONS_MAX = MetricSpec::gauge(
        "connections_max",
        "Number of connections that may be open: server.max_connections",
    );
    CONNECTIONS_REFUSED = MetricSpec::counter(
        "connections_refused",
        "Number of connections that were refused, and of attempts to accept that failed",
    )
    .by(&[&REFUSAL]);
    CONNECTION_DEADLINES = MetricSpec::counter(
        "connection_deadlines",
        "Number of connections that the gateway ended at a deadline",
    )
    .by(&[&DEADLINE]);
    TRACKED_CALLERS = MetricSpec::gauge(
        "limiter_tracked_callers",
        "Number of anonymous callers that are told apart",
    );
    TRACKED_CALLERS_MAX = MetricSpec::gauge(
        "limiter_tracked_callers_max",
        "Number of anonymous callers that can be told apart: limits.max_tracked_callers",
    );
    LOG_LINES_DROPPED =
        MetricSpec::counter("log_lines_dropped", "Number of log lines that could not be written");
    TLS_EXPIRY = MetricSpec::gauge(
        "tls_expiry",
        "Time until the TLS certificate expires, in seconds; negative once it has expired; \
         absent without TLS",
    )
    .in_seconds();
    PRIVATE_KEY_AGE = MetricSpec::gauge(
        "private_key_age",
        "Time since the private key's file was written, or since the start, in seconds",
    )
    .in_seconds();
    PRIVATE_KEY_READABLE = MetricSpec::gauge(
        "private_key_readable",
        "Result of the last read of the private key's file: 1 usable key, 0 none",
    );
    CONFIG_RELOADS = MetricSpec::counter(
        "config_reloads",
        "Number of configuration reloads, applied or refused",
    )
    .by(&[&RELOAD_OUTCOME]);
    CLUSTER_STATE = MetricSpec::gauge(
        "cluster_state",
        "State of the connection to the fleet: 0 no fleet, 1 connected, 2 cut off",
    );
    CLUSTER_NODES = MetricSpec::gauge(
        "cluster_nodes",
        "Number of gateways in the fleet when its stream was last read",
    );
    CLUSTER_LAG = MetricSpec::gauge(
        "cluster_lag",
        "Time from sending a heartbeat to the fleet to reading it back, in seconds",
    )
    .in_seconds();
    CLUSTER_CLOCK_SKEW = MetricSpec::gauge(
        "cluster_clock_skew",
        "Clock of the fleet's Redis minus the clock of this gateway, in seconds",
    )
    .in_seconds();
    CLUSTER_PENDING_PURGES = MetricSpec::gauge(
        "cluster_pending_purges",
        "Number of purges that wait to be published to the fleet",
    );
    CLUSTER_RESETS = MetricSpec::counter(
        "cluster_resets",
        "Number of times that everything was purged after a possibly missed purge",
    );
    KEY_SET_FETCHES = MetricSpec::counter(
        "key_set_fetches",
        "Number of fetches of the identity provider's key set (`jwt.jwks_url`)",
    )
    .by(&[&KEY_SET_OUTCOME]);
    SECOND_LEVEL = MetricSpec::counter(
        "second_level",
        "Number of lookups and stores in the fleet's Redis",
    )
    .by(&[&SECOND_LEVEL_OUTCOME]);
    BUILD = MetricSpec::info("build", "Version of ikgate; the value is always 1").by(&[&VERSION]);
    PROCESS_CPU =
        MetricSpec::counter("cpu", "Processor time that the process has used, in seconds")
            .in_seconds()
            .of_process();
    PROCESS_START_TIME =
        MetricSpec::gauge("start_time", "Start time of the process, in Unix seconds")
            .in_seconds()
            .of_process();
    PROCESS_RESIDENT_MEMORY =
        MetricSpec::gauge("resident_memory", "Resident memory of the process, in bytes")
            .in_bytes()
            .of_process();
    PROCESS_VIRTUAL_MEMORY =
        MetricSpec::gauge("virtual_memory", "Virtual memory of the process, in bytes")
            .in_bytes()
            .of_process();
    PROCESS_OPEN_FDS =
        MetricSpec::gauge("open_fds", "Number of open file descriptors").of_process();
    PROCESS_MAX_FDS =
        MetricSpec::gauge("max_fds", "Number of file descriptors that may be open").of_process();
    PROCESS_THREADS = MetricSpec::gauge("threads", "Number of threads of the process").of_process();
}
