//! Keys of `[admin]`: listener of the operators.

use super::super::spec::KeyDefault::{Off, Value};
use super::super::spec::{Kind, Presence, SectionSpec, restart};

pub(super) const ADMIN: SectionSpec = SectionSpec {
    name: "admin",
    presence: Presence::Always,
    about: "",
    page: None,
    keys: &[
        restart(
            "listen",
            Kind::Address,
            Value(r#""127.0.0.1:9090""#),
            r#"Address for operators. `"systemd"` takes the passed socket named `admin`."#,
        ),
        restart(
            "token_file",
            Kind::Path,
            Off(r#""admin.token""#),
            "File with the operators' token; required off loopback and for a passed socket. A \
             purge then needs its content as a bearer token.",
        ),
        restart(
            "hosts",
            Kind::Names,
            Value("[]"),
            "`Host` values, without a port, that are answered besides IP addresses and `localhost`.",
        ),
    ],
};
