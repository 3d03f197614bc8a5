//! Request pipeline: takes one request through all stages to its response. Only this module knows
//! the order of the stages.
//!
//! `pipeline` answers a request. `decide` is the synchronous half, for what the request's head
//! alone decides; `fast_path` calls it without hyper. `continuation` is the asynchronous half, for
//! bodies and fills; `help` writes the documents about this gateway for its callers. One function,
//! `ResponseFacts::write`, adds the common fields to every response.

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
