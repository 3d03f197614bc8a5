//! Integration tests of the gateway's behaviour, as callers and operators see it.
//!
//! They use real sockets, a scripted origin, and a clock that moves only when a test moves it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails should fail at once; clippy exempts only functions marked #[test]"
)]
#![allow(clippy::similar_names, reason = "a test compares like with like")]

mod access_log;
mod admin;
mod budget;
mod cli;
mod coding;
mod collapse;
mod conditional;
mod config_files;
mod configuration;
mod configuration_messages;
mod conformance;
mod cors;
mod deadlines;
mod drain;
mod element;
mod ending;
mod exposition;
mod fault_table;
mod forwarding;
mod fresh;
mod head;
mod help;
mod http2;
mod http2_rules;
mod identity;
mod jwks;
mod layering;
mod limit;
mod malformed;
mod metrics;
mod model;
mod outage;
mod passed;

mod private;
mod proxies;
mod purge;
mod race;
mod reference;
mod reload;
mod restart;
mod route;
mod service_manager;
#[path = "../support/mod.rs"]
mod shared;
mod stale;
mod stats;
mod support;
mod tls;
mod tls_protocol;
mod token;
mod token_form;
mod token_keys;
mod upstream_faults;
mod upstream_rules;
mod upstream_tls;
mod ways;
mod webhook;
mod wire;
mod words;
