//! Sandbox: a local stand-in for the part of ImageKit's Media API that the gateway uses.
//!
//! It serves demos, frontend developers and tests. It needs no account and no real key. It answers
//! like the real API, errors and rate-limit fields included. Undocumented behaviour of the real API
//! is not invented here. Files live in memory and are the same at every start; versions are added
//! and removed under `/_sandbox`.

mod api;
mod control;
mod library;
mod object;
mod rate;
mod replies;
mod service;
mod uuid;
mod webhook;

pub use library::IMAGE_WITH_VERSIONS;
pub use service::{DEFAULT_KEY, DEFAULT_RATE, Sandbox, SandboxSettings};
pub use webhook::{WebhookTarget, WebhookUrl};
