//! Limit of upstream calls that is in force, for operators.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Limit of upstream calls, of all gateways of a fleet together.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BudgetLimit {
    pub set_by: LimitSource,
    /// Most calls that may leave at once.
    pub burst: u32,
    /// Time in which one call comes back.
    pub interval: Duration,
}

/// Source of the limit in force.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LimitSource {
    /// `upstream.budget`.
    Configured,
    /// ImageKit's `X-RateLimit-Limit`: it allows no more calls per second than `upstream.budget`.
    ImageKit,
}

impl BudgetLimit {
    /// Returns the calls per second, with two decimals.
    pub fn per_second(self) -> f64 {
        (100.0 / self.interval.as_secs_f64()).round() / 100.0
    }
}
