//! Responses as one caller receives them: everything that is added to a result after the cache.
//!
//! A stored response is the same for every caller; the response that is sent depends on the
//! request. Only this module decides the fields. Only [`shape()`], and `write_plain` on the fast path, decide
//! their order: condition first
//! (a 304 needs no body), then the coding and the body, then the fields of every response.

mod constants;
mod cors;
mod document;
mod problem;
mod rate;
mod reusable;
mod shape;

pub use cors::{AllowedOrigin, Cors, InvalidOrigin, PageAccess};
pub use document::{Document, DocumentKind};
pub use problem::{BucketFields, Connection, Problem, Retry};
pub use rate::RateLimitFields;
pub use reusable::{ResponseAge, Reusable};
pub use shape::{Answer, CodedResponse, PlainResponse, ResponseFacts, shape, write_plain};
