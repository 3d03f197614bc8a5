//! HTTP client for ImageKit's version lists, with admission control in front of it.
//!
//! There is one client, with one private key and one budget. It does not cache. A call returns an
//! [`UpstreamResponse`] that was read and checked as a whole, or an [`UpstreamError`] that says which side
//! has to act.
//!
//! - `client`: the client itself; `dispatch`: admits a call, sends it, decides about retries.
//! - `call_queue`: priority queue of calls that wait for a permit and a cell of the budget.
//! - `budget`: call budget of the account (GCRA); `priority`: the part of it that a call may spend;
//!   `shared_budget`: the same budget in a fleet.
//! - `window`, `pause`, `rate_fields`: the upstream's own rate limit, as its responses state it.
//! - `key_circuit`: circuit breaker for a refused private key; for failures it is [`crate::breaker`].
//! - `health`: last error of a call, and since when calls fail.
//! - `retry`: retry budget and backoff; `latency`: recent latency of the upstream.
//! - `transport`: interface of one exchange; `http_transport`: the exchange over HTTP; `pool`: its
//!   connections; `body`, `response`, `error`: its result.
//! - `url`: address of the upstream, checked when it is configured.

mod body;
mod budget;
mod budget_limit;
mod call_queue;
mod client;
mod dispatch;
mod error;
mod health;
mod http_transport;
mod key_circuit;
mod latency;
mod pause;
mod pool;
mod priority;
mod rate_fields;
mod response;
mod retry;
mod settings;
mod shared_budget;
mod transport;
mod url;
mod window;

pub use crate::breaker::{BreakerSettings, BreakerState};
pub use body::BodyPermit;
pub use budget_limit::{BudgetLimit, LimitSource};
pub use client::Upstream;
pub use error::{BadAnswer, Refusal, UpstreamError, UpstreamOutcome};
pub use health::{FailingCalls, LastUpstreamError, UpstreamHealth};
pub use key_circuit::KeyStatus;
pub use pool::UpstreamStartError;
pub use priority::Priority;
pub use rate_fields::RateFields;
pub use response::{ResponseKind, Storable, UpstreamResponse};
pub use retry::RetrySettings;
pub use settings::UpstreamSettings;
pub use transport::FetchRequest;
pub use url::{InvalidUpstreamUrl, UpstreamUrl};

#[cfg(test)]
mod tests;
