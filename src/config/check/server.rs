//! Check of `[server]`: listeners, TLS, proxies and shutdown.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use http::header::{FORWARDED, HeaderName};
use ipnet::IpNet;

use super::super::settings::PublicSettings;
use super::super::value::{Given, Section};
use super::file::file;
use super::units::{KIB, MIB, bytes};
use crate::caller::Proxies;
use crate::error::chain;
use crate::route::BasePath;
use crate::server::{LINGER_MAX, ListenSource, ServerSettings, Tls, TlsFiles};

pub(super) fn server(server: &mut Section, directory: &Path) -> PublicSettings {
    let listen = server.get("listen", |given| {
        let listen: Option<Vec<_>> = given.texts()?.iter().map(|text| listen(text)).collect();
        let expected = "must be one or more of addresses like \"127.0.0.1:8080\" and \"systemd\"";
        listen.filter(|listen| !listen.is_empty()).ok_or(expected)
    });
    let base_path = server.get("base_path", |given| {
        BasePath::parse(given.text()?).map_err(|_| "must be empty or like \"/imagekit\"")
    });
    let connections = server.get("max_connections", |given| given.integer(&(1..=1_000_000_usize)));
    let of_one =
        server.get("max_connections_per_ip", |given| given.integer(&(1..=1_000_000_usize)));
    let mut time = |key| server.get(key, Given::positive_duration);
    let (header, idle) = (time("header_timeout"), time("idle_timeout"));
    let (stall, age) = (time("write_stall_timeout"), time("max_connection_age"));
    let head = server.get("max_head_bytes", |given| given.size(&(8 * KIB..=MIB)));
    let trusted = server.get("trusted_proxies", |given| {
        let networks: Option<Vec<_>> = given.texts()?.iter().map(|text| network(text)).collect();
        networks.ok_or("must be a list of networks like \"10.0.0.0/8\"")
    });
    let field =
        server.get("client_address_header", |given| match given.text()?.parse::<HeaderName>() {
            Ok(field) if field == FORWARDED => {
                Err("must hold plain addresses, as x-forwarded-for does")
            }
            Ok(field) => Ok(field),
            Err(_) => Err("must be the name of a header field"),
        });
    let tls = server.has("tls").then(|| tls(&mut server.section("tls"), directory)).flatten();
    let delay = server.get("shutdown_delay", Given::duration);
    let grace = server.get("shutdown_grace", Given::duration);
    PublicSettings {
        listen,
        base_path,
        server: ServerSettings {
            max_connections: connections,
            max_connections_per_ip: of_one,
            uncounted: trusted.clone(),
            max_head_bytes: bytes(head),
            header_timeout: header,
            idle_timeout: idle,
            write_stall_timeout: stall,
            max_connection_age: age,
            linger: LINGER_MAX.min(grace / 2),
        },
        tls: tls.map(Arc::new),
        proxies: Proxies { trusted, field },
        shutdown_delay: delay,
        shutdown_grace: grace,
    }
}

/// Parses an address, or `systemd` for passed sockets.
pub(super) fn listen(text: &str) -> Option<ListenSource> {
    match text {
        "systemd" => Some(ListenSource::Passed),
        address => address.parse().ok().map(ListenSource::Address),
    }
}

/// Parses a network, or an address as a network of one.
fn network(text: &str) -> Option<IpNet> {
    let address = || text.parse::<IpAddr>().ok().map(IpNet::from);
    text.parse().ok().or_else(address)
}

/// Reads certificate and key together, once both paths are known.
fn tls(tls: &mut Section, directory: &Path) -> Option<Tls> {
    let certificate = tls.require("certificate", |given| file(given, directory));
    let key = tls.require("key", |given| file(given, directory));
    let loaded = Tls::load(TlsFiles { certificate: certificate?, key: key? });
    loaded.map_err(|error| tls.note("certificate", chain(&error))).ok()
}
