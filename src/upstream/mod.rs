//! The way to ImageKit: one client, one key, and what its answers mean.
//!
//! Knows nothing of caching. A call either gives an [`Answer`] that has been read and judged
//! whole, or an [`UpstreamError`] that says who has to act.

mod answer;
mod body;
mod client;
mod error;
mod url;

pub use answer::{Answer, AnswerKind, Storable};
pub use body::Held;
pub use client::{Upstream, UpstreamSettings, UpstreamStartError};
pub use error::{BadAnswer, RateFields, UpstreamError, UpstreamOutcome};
pub use url::{InvalidUpstreamUrl, UpstreamUrl};
