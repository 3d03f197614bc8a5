//! Check of `[server]`: listeners, TLS, proxies and shutdown.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http::header::{FORWARDED, HeaderName};
use ipnet::IpNet;

use super::super::given::{Given, each};
use super::super::section::Section;
use super::super::settings::PublicSettings;
use super::file::{file, warn_of_readers};
use super::units::{KIB, MIB, bytes};
use crate::caller::Proxies;
use crate::error_chain::chain;
use crate::route::BasePath;
use crate::server::{Expiry, LINGER_MAX, ListenSource, ServerSettings, Tls, TlsError, TlsFiles};

pub(super) fn server(server: &mut Section, directory: &Path, now: Duration) -> PublicSettings {
    let listen = server.get("listen", |given| {
        let texts = given.texts().map_err(str::to_owned)?;
        if texts.is_empty() {
            return Err("must be at least one address".to_owned());
        }
        each(&texts, listen)
    });
    let base_path = server.get("base_path", |given| {
        BasePath::parse(given.text()?).map_err(|_| "must be empty or like \"/imagekit\"")
    });
    let help = server.get("help", Given::boolean);
    let connections = server.get("max_connections", |given| given.integer(&(1..=1_000_000_usize)));
    let of_one =
        server.get("max_connections_per_ip", |given| given.integer(&(1..=1_000_000_usize)));
    let mut time = |key| server.get(key, Given::positive_duration);
    let (header, idle) = (time("header_timeout"), time("idle_timeout"));
    let (stall, age) = (time("write_stall_timeout"), time("max_connection_age"));
    let head = server.get("max_head_bytes", |given| given.size(&(8 * KIB..=MIB)));
    let trusted = server.get("trusted_proxies", |given| {
        let texts = given.texts().map_err(str::to_owned)?;
        each(&texts, network)
    });
    warn_of_all_trusted(server, &trusted);
    let field =
        server.get("client_address_header", |given| match given.text()?.parse::<HeaderName>() {
            Ok(field) if field == FORWARDED => {
                Err("must hold plain addresses, as x-forwarded-for does")
            }
            Ok(field) => Ok(field),
            Err(_) => Err("must be the name of a header field"),
        });
    let tls = server.has("tls").then(|| tls(&mut server.section("tls"), directory, now)).flatten();
    let delay = server.get("shutdown_delay", Given::duration);
    let grace = server.get("shutdown_grace", Given::duration);
    let closes_sockets = |listen: &ListenSource| match listen {
        ListenSource::Address(address) => !address.ip().is_loopback(),
        ListenSource::Passed => false,
    };
    if delay.is_zero() && listen.iter().any(closes_sockets) {
        server.warn(
            "shutdown_delay",
            "is 0: a load balancer that has not seen /readyz yet is refused at a restart; 10s fits \
             most",
        );
    }
    PublicSettings {
        listen,
        base_path,
        help,
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
pub(super) fn listen(text: &str) -> Result<ListenSource, String> {
    if text == "systemd" {
        return Ok(ListenSource::Passed);
    }
    text.parse().map(ListenSource::Address).map_err(|_| {
        let is_port = |text: &&str| text.parse::<u16>().is_ok();
        match text.rsplit_once(':').unwrap_or(("", text)) {
            ("", port) if is_port(&port) => format!(
                "{text:?} has no address: write \"0.0.0.0:{port}\" for all of this machine's, or \
                 \"127.0.0.1:{port}\""
            ),
            ("localhost", port) if is_port(&port) => {
                format!("{text:?} is a name: write \"127.0.0.1:{port}\"")
            }
            _ => {
                format!("{text:?} is no address: write one like \"127.0.0.1:8080\", or \"systemd\"")
            }
        }
    })
}

/// Parses a network, or an address as a network of one.
fn network(text: &str) -> Result<IpNet, String> {
    let address = || text.parse::<IpAddr>().ok().map(IpNet::from);
    let network = text.parse().ok().or_else(address);
    network.ok_or_else(|| {
        format!("{text:?} is no network: write one like \"10.0.0.0/8\", or an address")
    })
}

/// Warns of a network that contains every address.
fn warn_of_all_trusted(server: &Section, trusted: &[IpNet]) {
    for network in trusted.iter().filter(|network| network.prefix_len() == 0) {
        let family = if network.addr().is_ipv4() { "IPv4" } else { "IPv6" };
        let message = format_args!(
            "\"{network}\" is every {family} address: each client can then name any address as its \
             own; list only your proxies"
        );
        server.warn("trusted_proxies", message);
    }
}

/// Reads certificate and key together, once both paths are known.
fn tls(tls: &mut Section, directory: &Path, now: Duration) -> Option<Tls> {
    let certificate = tls.require("certificate", |given| file(given, directory));
    let key = tls.require("key", |given| file(given, directory));
    let files = TlsFiles { certificate: certificate?, key: key? };
    warn_of_readers(tls, "key", &files.key);
    let key_of = |error: &TlsError| if error.is_of_key(&files) { "key" } else { "certificate" };
    let loaded = Tls::load(files.clone());
    let loaded = loaded.map_err(|error| tls.note(key_of(&error), chain(&error))).ok()?;
    match loaded.expiry(now) {
        Expiry::Expired => tls.warn("certificate", "has expired: no client accepts it"),
        Expiry::Soon { days } => tls.warn("certificate", format_args!("expires in {days} days")),
        Expiry::Later => {}
    }
    Some(loaded)
}
