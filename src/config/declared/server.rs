//! Keys of `[server]` and `[server.tls]`: listeners, proxies, connections, shutdown and TLS.

use super::super::spec::KeyDefault::{Required, Value};
use super::super::spec::{Kind, Presence, SectionSpec, live, restart};

pub(super) const SERVER: SectionSpec = SectionSpec {
    name: "server",
    presence: Presence::Always,
    about: "",
    page: None,
    keys: &[
        restart(
            "listen",
            Kind::Addresses,
            Value(r#"["127.0.0.1:8080"]"#),
            "Addresses for callers. `\"systemd\"` takes the passed sockets that are not named \
             `admin`.",
        ),
        restart("base_path", Kind::UrlPath, Value(r#""""#), "Path before `/v1`, like `/imagekit`."),
        restart(
            "trusted_proxies",
            Kind::Networks,
            Value("[]"),
            "Proxies that are trusted to state the client's address and the request id.",
        ),
        restart(
            "client_address_header",
            Kind::FieldName,
            Value(r#""x-forwarded-for""#),
            "The one field in which trusted proxies name the client, read from right to left.",
        ),
        restart(
            "help",
            Kind::Boolean,
            Value("true"),
            "Whether `GET /` and `GET /openapi.json` explain this gateway to its callers. They need \
             no credential and spend the address's quota.",
        ),
        restart(
            "max_connections",
            Kind::Count,
            Value("10000"),
            "Open connections. More wait in the kernel's backlog.",
        ),
        restart(
            "max_connections_per_ip",
            Kind::Count,
            Value("256"),
            "Open connections of one address, or of one IPv6 /64. More are reset; a trusted proxy \
             may have all.",
        ),
        restart(
            "header_timeout",
            Kind::Duration,
            Value(r#""10s""#),
            "Time from the first byte of a request's head to its end.",
        ),
        restart(
            "idle_timeout",
            Kind::Duration,
            Value(r#""75s""#),
            "Time between the requests of a kept connection.",
        ),
        restart(
            "write_stall_timeout",
            Kind::Duration,
            Value(r#""30s""#),
            "Time for which a client may take nothing of its response.",
        ),
        restart(
            "max_connection_age",
            Kind::Duration,
            Value(r#""1h""#),
            "Age at which a connection ends with its next response; shortened by up to a tenth.",
        ),
        restart(
            "max_head_bytes",
            Kind::Size,
            Value(r#""16KiB""#),
            "Largest request head. A longer one is answered 431.",
        ),
        restart(
            "shutdown_delay",
            Kind::Duration,
            Value(r#""0s""#),
            r#"Time between "not ready" and closing the listeners."#,
        ),
        restart(
            "shutdown_grace",
            Kind::Duration,
            Value(r#""30s""#),
            "Time for open requests to end, before their connections are cut.",
        ),
    ],
};

pub(super) const TLS: SectionSpec = SectionSpec {
    name: "server.tls",
    presence: Presence::Optional,
    about: "TLS, with HTTP/2 for clients that speak it. A pair that does not match is not used.",
    page: None,
    keys: &[
        live(
            "certificate",
            Kind::Path,
            Required(r#""cert.pem""#),
            "Certificate chain in PEM, the server's own certificate first. It is read again when \
             it changes.",
        ),
        live(
            "key",
            Kind::Path,
            Required(r#""key.pem""#),
            "Private key of the certificate, in PEM. It is read again when it changes.",
        ),
    ],
};
