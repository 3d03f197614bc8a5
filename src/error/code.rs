//! Codes of the errors that ikgate makes: the one declaration of each.

use http::StatusCode;

/// Declaration of a code.
pub(super) struct CodeSpec {
    pub(super) code: &'static str,
    pub(super) status: StatusCode,
    /// Sentence about the requests that end with it, in Markdown.
    pub(super) when: &'static str,
    pub(super) retry: Advice,
    /// Sentence about what its caller can do.
    pub(super) remedy: &'static str,
    pub(super) clients: Clients,
}

/// Clients that can get a code.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Clients {
    /// Callers. Webhook deliveries and readers of the help documents get some of them, too.
    Callers,
    /// Callers, and operators at the admin listener.
    CallersAndOperators,
    /// Operators only.
    Operators,
    /// ImageKit, when it delivers a webhook, and operators.
    WebhooksAndOperators,
}

/// Whether the same request is worth another try.
#[derive(Clone, Copy)]
pub(super) enum Advice {
    /// After the time in `Retry-After`.
    AfterWait,
    /// After a while; the response does not say how long.
    Later,
    /// Never: it will fail again.
    No,
}

/// Declares the codes: the enum, the list of all, and the declaration of each.
macro_rules! codes {
    ($(
        $variant:ident: $code:literal, $status:ident, $clients:ident, $retry:ident,
            $when:literal, $remedy:literal;
    )*) => {
        /// Error code, as `code` in the body and the access log show it. `Cache-Status` shows it
        /// only for an error that does not depend on the cache. One code may have several statuses;
        /// each has a variant of its own.
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub enum ErrorCode {
            $($variant,)*
        }

        impl ErrorCode {
            /// All codes, in the order of the reference.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            pub(super) fn spec(self) -> CodeSpec {
                match self {
                    $(Self::$variant => CodeSpec {
                        code: $code,
                        status: StatusCode::$status,
                        when: $when,
                        retry: Advice::$retry,
                        remedy: $remedy,
                        clients: Clients::$clients,
                    },)*
                }
            }
        }
    };
}

codes! {
    BadRequest: "bad_request", BAD_REQUEST, CallersAndOperators, No,
        "The head, path or body is wrong. ImageKit's own 400 passes through.",
        "Correct the request.";
    Unauthorized: "unauthorized", UNAUTHORIZED, CallersAndOperators, No,
        "The credential is missing, or is not accepted.",
        "Send the right caller key, or a token that is still valid.";
    Forbidden: "forbidden", FORBIDDEN, CallersAndOperators, No,
        "The key or token does not cover the file.",
        "Request a file that it covers.";
    NotFound: "not_found", NOT_FOUND, Callers, No,
        "The file or version does not exist. ImageKit's own 404 passes through.",
        "Check the id.";
    NoRoute: "no_route", NOT_FOUND, CallersAndOperators, No,
        "The path is not served.",
        "Request the one operation that is served.";
    MethodNotAllowed: "method_not_allowed", METHOD_NOT_ALLOWED, CallersAndOperators, No,
        "The path does not accept the method.",
        "Use a method that `Allow` lists.";
    RequestTimeout: "request_timeout", REQUEST_TIMEOUT, CallersAndOperators, Later,
        "The head or body did not arrive in time.",
        "Send the whole request in time; it needs no body.";
    BodyTooLarge: "too_large", PAYLOAD_TOO_LARGE, CallersAndOperators, No,
        "The body is too long.",
        "Send no body; a webhook has at most 256 KiB.";
    HeadTooLarge: "too_large", REQUEST_HEADER_FIELDS_TOO_LARGE, CallersAndOperators, No,
        "The head has too many bytes or fields.",
        "Send a shorter head.";
    Misdirected: "misdirected", MISDIRECTED_REQUEST, Operators, No,
        "The admin listener does not accept the `Host`; only it has this code.",
        "Use an IP address or `localhost`, or list the name under `admin.hosts`.";
    Throttled: "throttled", TOO_MANY_REQUESTS, Callers, AfterWait,
        "The caller's quota is used up.",
        "Wait as long as `Retry-After` says.";
    Internal: "internal", INTERNAL_SERVER_ERROR, Callers, Later,
        "ikgate has a fault.",
        "Report it.";
    UpstreamAuth: "upstream_auth", BAD_GATEWAY, Callers, No,
        "ImageKit refused the gateway's key.",
        "Tell the gateway's operator.";
    UpstreamBad: "upstream_bad", BAD_GATEWAY, Callers, Later,
        "ImageKit's answer could not be used.",
        "Try later.";
    UpstreamUnreachable: "upstream_unreachable", BAD_GATEWAY, Callers, Later,
        "ImageKit could not be reached.",
        "Try later.";
    UpstreamBusy: "upstream_busy", SERVICE_UNAVAILABLE, Callers, AfterWait,
        "ImageKit's limit, the account's budget or the circuit breaker holds calls \
        back.",
        "Wait as long as `Retry-After` says.";
    PurgePartial: "purge_partial", SERVICE_UNAVAILABLE, WebhooksAndOperators, AfterWait,
        "One of [several gateways](deploy/fleet.md) has purged, and will tell the \
        others. Only answers to webhooks and to purges have this code.",
        "Nothing, or purge again.";
    ShuttingDown: "shutting_down", SERVICE_UNAVAILABLE, Callers, AfterWait,
        "The gateway is shutting down.",
        "Send the request to another gateway, or to this one when it is back.";
    UpstreamTimeout: "upstream_timeout", GATEWAY_TIMEOUT, Callers, Later,
        "ImageKit did not answer in time.",
        "Try later.";
}

impl ErrorCode {
    /// Returns the text of the code.
    pub fn as_str(self) -> &'static str {
        self.spec().code
    }

    pub fn clients(self) -> Clients {
        self.spec().clients
    }

    /// Returns whether it is sent at the public listener, and not only at the admin listener.
    pub fn is_public(self) -> bool {
        self.clients() != Clients::Operators
    }

    pub fn status(self) -> StatusCode {
        self.spec().status
    }
}

impl Advice {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::AfterWait => "after `Retry-After`",
            Self::Later => "later",
            Self::No => "no",
        }
    }
}
