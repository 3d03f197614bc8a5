//! Admin listener for operators: health checks, metrics, cache purge, statistics and dashboard.
//!
//! It is separate from the public listener, so that it can be bound to an address that only
//! operators can reach. `guard` checks every request before any operation runs.

mod cache_api;
mod dashboard;
mod guard;
mod health;
mod operation;
mod problems;
mod readings;
mod ready;
mod replies;
mod service;
mod state;
mod stats;

pub use cache_api::PurgeResult;
pub use guard::{AdminSettings, Exposure};
pub use health::{BudgetLimitView, Health, LastErrorView, UpstreamView};
pub use problems::{CurrentProblem, Severity, counted};
pub use ready::Readiness;
pub use replies::ErrorBody;
pub use state::Admin;
pub use stats::{Stats, TopFile, TopFiles};
