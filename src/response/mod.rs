//! Responses as one caller receives them: everything that is added to a result after the cache.
//!
//! A stored response is the same for every caller; the response that is sent depends on the
//! request. Only this module decides which fields a response has, and their order. [`shape()`], and
//! `write_plain` on the fast path, choose the coding, evaluate the condition (a 304 needs no body),
//! then write the fields of the content and those of every response.

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
