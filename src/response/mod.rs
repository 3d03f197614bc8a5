//! Responses as one caller receives them: everything that is added to a result after the cache.
//!
//! A stored response is the same for every caller; the response that is sent depends on the
//! request. Only this module decides the fields, and only [`shape`] their order: conditional first
//! (a 304 needs no body), then the coding and the body, then the fields of every response.

mod cors;
mod problem;
mod rate;
mod reusable;

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Response, StatusCode};

pub use cors::{AllowedOrigin, Cors, InvalidOrigin};
pub use problem::{BucketFields, Connection, Problem, Retry};
pub use rate::RateLimitFields;
pub use reusable::{Reusable, Times};

use crate::cache::CacheStatus;
use crate::limit::QuotaStatus;
use crate::message::{
    Coding, ConstantField, FieldMap, Fields, RequestFields, RequestHead, ResponseField,
    ResponseHead, constant_field,
};
use crate::route::ALLOWED_METHODS;

static JSON: ConstantField =
    constant_field!(ContentType, "content-type", "application/json; charset=utf-8");
static NOSNIFF: ConstantField =
    constant_field!(ContentTypeOptions, "x-content-type-options", "nosniff");
static NO_STORE: ConstantField = constant_field!(CacheControl, "cache-control", "no-store");
static VARY: ConstantField = constant_field!(Vary, "vary", "Origin, Accept-Encoding");
/// `Vary` of a response that a browser may store: it must not give one user's response to the next
/// user.
static VARY_BY_USER: ConstantField =
    constant_field!(Vary, "vary", "Origin, Accept-Encoding, Authorization");

/// Result of the pipeline, before it is shaped for the caller.
pub enum Answer {
    /// A webhook was accepted.
    Accepted,
    /// `OPTIONS` was requested.
    Preflight,
    Problem(Problem),
    /// A response that is stored, or was just fetched.
    Reusable(Reusable),
}

/// Facts that every response states besides its content.
pub struct Facts<'a> {
    /// Request id, visible ASCII.
    pub request_id: &'a [u8],
    pub cache: CacheStatus,
    /// Quota fields of the caller and its status. `None` while the caller is not known.
    pub quota_status: Option<(&'a RateLimitFields, QuotaStatus)>,
    /// Time for which browsers may reuse a response without revalidation.
    pub browser_max_age: Duration,
    /// `None`: no page of another origin may read a response.
    pub cors: Option<&'a Cors>,
    /// Time since 1970 at which the response is sent. hyper's own clock stands still after the
    /// system clock was set back.
    pub now: Duration,
}

/// Response, and the coding of its body.
pub struct Shaped {
    pub response: Response<Bytes>,
    pub coding: Coding,
}

/// Rest of a response whose head is written.
pub struct PlainResponse {
    pub status: StatusCode,
    pub coding: Coding,
    pub body: Bytes,
}

/// Builds the response to a request with this head.
pub fn shape(answer: &Answer, head: &RequestHead<'_>, facts: &Facts<'_>) -> Shaped {
    let page = facts.page(&head.fields);
    let (mut fields, mut vary) = (FieldMap::default(), &VARY);
    let (status, body, coding) = match answer {
        Answer::Accepted => (StatusCode::NO_CONTENT, Bytes::new(), Coding::Identity),
        Answer::Preflight => {
            fields.put_bytes(ResponseField::Allow, ALLOWED_METHODS.as_bytes());
            if let (Some(cors), Some(_)) = (facts.cors, page) {
                cors.write_preflight(&mut fields);
            }
            (StatusCode::NO_CONTENT, Bytes::new(), Coding::Identity)
        }
        Answer::Problem(problem) => {
            problem.write(&mut fields);
            (problem.status, problem.body(), Coding::Identity)
        }
        Answer::Reusable(reusable) => {
            let chosen = reusable.choose(&head.fields);
            vary = chosen.write(&mut fields, facts.browser_max_age);
            (chosen.status, chosen.body.unwrap_or_default(), chosen.coding)
        }
    };
    facts.write(&mut fields, page, vary);
    let is_head = *head.method == Method::HEAD && !body.is_empty();
    if is_head {
        // The length that GET would state (RFC 9110 section 9.3.2).
        fields.put_number(ResponseField::ContentLength, body.len() as u64);
    }
    let mut response = Response::new(if is_head { Bytes::new() } else { body });
    *response.status_mut() = status;
    *response.headers_mut() = fields.take_map();
    Shaped { response, coding }
}

/// Writes the response to a plain request. Its HTTP/1.1 head goes to `into`, which must be empty.
/// With `close`, the connection ends with this response.
pub fn write_plain(
    answer: &Reusable,
    head: &RequestHead<'_>,
    facts: &Facts<'_>,
    close: bool,
    into: &mut Vec<u8>,
) -> PlainResponse {
    let chosen = answer.choose(&head.fields);
    let mut written = ResponseHead::begin(into, chosen.status);
    let vary = chosen.write(&mut written, facts.browser_max_age);
    facts.write(&mut written, facts.page(&head.fields), vary);
    written.end(chosen.body.as_ref().map(Bytes::len), close);
    let (status, coding) = (chosen.status, chosen.coding);
    PlainResponse { status, coding, body: chosen.body.unwrap_or_default() }
}

impl Facts<'_> {
    /// Returns the origin of the page that sent the request, if that page may read the response.
    fn page<'b>(&self, request: &RequestFields<'b>) -> Option<&'b [u8]> {
        self.cors?.allowed(request)
    }

    /// Writes the fields that every response has.
    fn write(&self, fields: &mut impl Fields, page: Option<&[u8]>, vary: &'static ConstantField) {
        fields.put_date(self.now);
        fields.put_bytes(ResponseField::RequestId, self.request_id);
        fields.put_constant(&NOSNIFF);
        fields.put_constant(vary);
        fields.put_bytes(ResponseField::CacheStatus, self.cache.to_text().as_bytes());
        if let Some((names, quota_status)) = self.quota_status {
            names.write(fields, quota_status);
        }
        if let Some(origin) = page {
            Cors::write(origin, fields);
        }
    }
}
