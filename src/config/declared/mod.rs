//! All configuration keys: the one declaration that defaults, checks and the reference use.

mod admin;
mod cache;
mod callers;
mod cluster;
mod cors;
mod jwt;
mod limits;
mod server;
mod telemetry;
mod upstream;
mod webhooks;

use super::spec::SectionSpec;

/// All sections, in the order of the reference.
pub(super) static SECTIONS: [SectionSpec; 12] = [
    server::SERVER,
    server::TLS,
    admin::ADMIN,
    upstream::UPSTREAM,
    cache::CACHE,
    limits::LIMITS,
    callers::CALLERS,
    jwt::JWT,
    cors::CORS,
    webhooks::WEBHOOKS,
    cluster::CLUSTER,
    telemetry::TELEMETRY,
];
