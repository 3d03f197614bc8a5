//! Request pipeline: takes one request through all stages to its response. Only this module knows
//! the order of the stages.
//!
//! - `pipeline`: answers a request; `context`: what the stages have found out about it.
//! - `decide`: synchronous half, for what the head alone decides. It answers hits, and starts the
//!   refresh of a stale one. `fast_path` calls it without hyper.
//! - `continuation`: asynchronous half, for bodies (`request_body`) and fills. A read with a body
//!   is decided from the authentication on when the body has been read, by the rules in force then.
//! - `versions`: reads of a list or of one version, from the cache or by a fill; `query`: the read
//!   that a miss has to finish; `fills`: the tasks that fetch, from Redis or from the upstream.
//! - `webhook`: ImageKit's events; `help`: documents about this gateway for its callers.
//! - `access_rules`: callers, limits and CORS, which a reload replaces as a whole; `refused_origins`:
//!   pages that may not read their responses; `state`: what the gateway consists of.
//!
//! One function, `ResponseFacts::write`, adds the common fields to every response.

mod access_rules;
mod context;
mod continuation;
mod decide;
mod fast_path;
mod fills;
mod help;
mod pipeline;
mod query;
mod refused_origins;
mod request_body;
mod state;
mod versions;
mod webhook;

pub use access_rules::{AccessRules, AccessSettings};
pub use fast_path::{Attempt, DecidedRequest, Hit};
pub use help::BOTH_LISTENERS;
pub use pipeline::PendingResponse;
pub use refused_origins::RefusedOrigins;
pub use request_body::GatewayBody;
pub use state::Gateway;
pub use webhook::WebhookReceiver;
