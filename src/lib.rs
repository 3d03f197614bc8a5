//! ikgate: a caching reverse-proxy gateway in front of ImageKit's Media API. It answers version
//! lists of files from its cache and keeps the account's private key away from its callers.
//!
//! *Downstream* is towards the callers, *upstream* towards ImageKit. A *fill* is one fetch of a
//! file's list from ImageKit (in a fleet, first from Redis) that all its waiting callers share. A
//! *node* is one gateway of a fleet. A request takes these steps:
//!
//! ```text
//! server      take a connection permit -> accept -> read the head -> start the exchange
//! gateway     decide, synchronously, from the head alone (fast path, HTTP/1.1 and HTTP/2 alike)
//!               message   head rules                    400 413
//!            -> route     path, query, method           404 400 405, OPTIONS 204
//!            -> caller    credential, allowed files     401 403
//!            -> cache     look up
//!            -> limit     the caller's quota            429
//!               (caller, limit and CORS form the access rules; a reload replaces them as a whole)
//!               fresh: a hit; stale within its window: a hit, and a fill in the background
//!             rest, asynchronously
//!               webhook: its own quota, its signature, invalidation, 204
//!               help: the address's quota, a document about this gateway
//!               else join the file's fill, or start it in a task of its own:
//!                 in a fleet: cluster, the second level -> else the upstream
//!                 -> may it be stored? -> store, unless invalidated -> wake the waiters
//!          -> response  conditional, coding, then the fields of every response
//! exchange    the body is taken, or its stream is gone -> one event -> log and metrics
//! ```
//!
//! A purge by an operator comes through `admin`, and one by an event through the webhook. Both call
//! `invalidation`, which changes the cache. In a fleet, `cluster` first writes the purge to the
//! stream in Redis, from which every node applies it.
//!
//! The fast path parses a plain `GET` of HTTP/1.1 (`message::plain`) without hyper. It answers the
//! request itself if a stored response may be sent at once (`gateway::fast_path`,
//! `server::http1::driver`). hyper handles every other request. If the fast path has decided a
//! request, hyper's path uses that decision: the quota is spent once.
//!
//! The modules follow in layers: a module uses only modules above it. `tests/it/layering.rs` holds
//! the table of allowed dependencies.
//!
//! | module | holds |
//! | --- | --- |
//! | [`clock`] | clock that tests can move |
//! | [`error_chain`] | text of an error with its causes |
//! | [`file_id`] | validated ids of files and versions, and their upstream path |
//! | [`secret`] | secrets: read, redacted, wiped |
//! | [`message`] | HTTP heads: parsing, head rules, fields |
//! | [`breaker`] | circuit breaker |
//! | [`route`] | router: path and method to operation |
//! | [`caller`] | authentication, and permission for a file |
//! | [`jwks`] | fetcher of an identity provider's keys |
//! | [`limit`] | rate limits (GCRA) |
//! | [`cache`] | cache: lookup, freshness, request collapsing |
//! | [`upstream`] | client of ImageKit: budget, queue, retries |
//! | [`invalidation`] | purges and ImageKit's webhooks |
//! | [`cluster`] | fleet: second-level cache, purge stream and quotas in Redis |
//! | [`response`] | response for one caller: conditional, coding, fields |
//! | [`error`] | errors as callers see them |
//! | [`exchange`] | record of one request, for log and metrics |
//! | [`gateway`] | request pipeline: the order of the stages |
//! | [`server`] | listeners and connections |
//! | [`telemetry`] | metrics and logs |
//! | [`admin`] | admin listener: probes, metrics, API, dashboard |
//! | [`config`] | configuration: parsing and checks |
//! | [`sandbox`] | stand-in for ImageKit |
//! | [`demo`] | demo page |
//! | [`app`] | start, reload and shutdown of the process |
//! | [`cli`] | command line |

pub mod admin;
pub mod app;
pub mod breaker;
pub mod cache;
pub mod caller;
pub mod cli;
pub mod clock;
pub mod cluster;
pub mod config;
pub mod demo;
pub mod error;
pub mod error_chain;
pub mod exchange;
pub mod file_id;
pub mod gateway;
pub mod invalidation;
pub mod jwks;
pub mod limit;
pub mod message;
pub mod response;
pub mod route;
pub mod sandbox;
pub mod secret;
pub mod server;
pub mod telemetry;
pub mod upstream;
