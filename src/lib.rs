//! ikgate: a caching gateway in front of ImageKit's Media API.
//!
//! *Downstream* is towards the callers, *upstream* towards ImageKit. One request:
//!
//! ```text
//! server      accept (a permit first) -> connection -> the exchange starts
//! gateway     decide: what the head alone decides, at once; every way in calls it
//!               message   head rules                    400 413
//!            -> route     path, query, method           404 400 405, OPTIONS 204
//!            -> caller    who sends it, for which files 401 403
//!            -> cache     look up
//!            -> limit     the caller's quota            429
//!               (both and CORS are one policy, which a reload replaces whole)
//!               fresh: a hit; stale within its window: a hit, and a fill behind it
//!             rest: what has to be waited for
//!               a webhook: its own quota, its signature, invalidation, 204
//!               else join the file's fill, or start it in a task of its own:
//!                 upstream -> may it be stored? -> store, unless invalidated -> wake all
//!          -> response  conditional, coding, then the fields of every answer
//! exchange    the body is taken, or its stream is gone -> one event -> log and metrics
//! ```
//!
//! A plain `GET` of HTTP/1.1 (`message::plain`) is decided on without hyper, and answered so if its
//! answer is stored (`gateway::fast_path`, `server::http1::driver`). Everything else is hyper's; a
//! request that was decided on already is not decided on again.
//!
//! The rooms, in the order in which they may be used: a room uses only rooms above it.
//! `tests/it/layering.rs` holds the table of who uses whom.
//!
//! | room | question it answers |
//! | --- | --- |
//! | [`clock`] | what time is it? |
//! | [`file_id`] | is this an id, and what is its path upstream? |
//! | [`secret`] | what must never be seen? |
//! | [`message`] | does this head keep the rules? |
//! | [`route`] | which operation is asked for? |
//! | [`caller`] | who asks, and may they read this file? |
//! | [`limit`] | may they ask now? |
//! | [`cache`] | what is stored, may it be used, who fills it? |
//! | [`upstream`] | what does ImageKit say? |
//! | [`invalidation`] | what is to be forgotten? |
//! | [`cluster`] | what do the other gateways know? |
//! | [`response`] | how does the answer look for this caller? |
//! | [`error`] | what does a failure look like from outside? |
//! | [`exchange`] | what happened to this request? |
//! | [`gateway`] | in which order? |
//! | [`server`] | how do connections come and go? |
//! | [`telemetry`] | what is counted and logged? |
//! | [`admin`] | what can operators see and do? |
//! | [`config`] | what was configured, and is it right? |
//! | [`sandbox`] | what would ImageKit answer? |
//! | [`demo`] | what would a page show? |
//! | [`app`] | how does it all start and end? |
//! | [`cli`] | what was typed? |

pub mod admin;
pub mod app;
pub mod cache;
pub mod caller;
pub mod cli;
pub mod clock;
pub mod cluster;
pub mod config;
pub mod demo;
pub mod error;
pub mod exchange;
pub mod file_id;
pub mod gateway;
pub mod invalidation;
pub mod limit;
pub mod message;
pub mod response;
pub mod route;
pub mod sandbox;
pub mod secret;
pub mod server;
pub mod telemetry;
pub mod upstream;
