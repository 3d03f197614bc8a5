//! Shaping an answer for one caller: everything that is added after the cache.
//!
//! What is stored is the same for everybody; what is sent depends on the request. This room
//! alone decides the fields of an answer, and [`shape`] alone their order: conditional first
//! (a 304 needs no body), then the body, then the fields that every answer has.

mod problem;
mod rate;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    AGE, ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderName, VARY,
    X_CONTENT_TYPE_OPTIONS,
};
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode};

pub use problem::{BucketFields, Connection, Problem, Retry};
pub use rate::RateLimitFields;

use crate::cache::{CacheStatus, Kind, StoredResponse};
use crate::limit::Standing;
use crate::route::ALLOWED_METHODS;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");
const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const REVALIDATE: HeaderValue = HeaderValue::from_static("private, no-cache");
const VARY_ON: HeaderValue = HeaderValue::from_static("Origin, Accept-Encoding");

/// Room for every field of a hit, so that the map grows at most once.
const FIELDS: usize = 16;

/// What there is to say.
pub enum Answer {
    /// `OPTIONS`.
    Preflight,
    Problem(Problem),
    Stored {
        response: Arc<StoredResponse>,
        age: Duration,
    },
}

/// What every answer says besides.
pub struct Facts<'a> {
    pub request_id: HeaderValue,
    pub cache: CacheStatus,
    /// `None` while no caller is known.
    pub standing: Option<(&'a RateLimitFields, Standing)>,
}

/// Makes the response to `head`.
pub fn shape(answer: &Answer, mut head: Parts, facts: Facts<'_>) -> Response<Bytes> {
    let known = match answer {
        Answer::Stored { response, .. } => {
            response.tag.as_ref().is_some_and(|tag| tag.is_named_by(&head.headers))
        }
        Answer::Preflight | Answer::Problem(_) => false,
    };
    // hyper uses one map for a connection's heads, handing each on to the next: the request's,
    // emptied, has room for the response's fields.
    let mut fields = std::mem::take(&mut head.headers);
    fields.clear();
    fields.reserve(FIELDS);
    let mut response = Response::new(Bytes::new());
    *response.headers_mut() = fields;
    match answer {
        Answer::Preflight => {
            *response.status_mut() = StatusCode::NO_CONTENT;
            response.headers_mut().insert(ALLOW, HeaderValue::from_static(ALLOWED_METHODS));
        }
        Answer::Problem(problem) => problem.write(&mut response),
        Answer::Stored { response: stored, age } => {
            write_stored(&mut response, stored, *age);
            if known {
                *response.status_mut() = StatusCode::NOT_MODIFIED;
            } else {
                *response.body_mut() = stored.body.clone();
                response.headers_mut().insert(CONTENT_TYPE, JSON);
            }
        }
    }
    let body_bytes = response.body().len();
    let fields = response.headers_mut();
    fields.insert(X_REQUEST_ID, facts.request_id);
    fields.insert(X_CONTENT_TYPE_OPTIONS, NOSNIFF);
    fields.insert(VARY, VARY_ON);
    fields.insert(CacheStatus::FIELD, facts.cache.to_field_value());
    if let Some((names, standing)) = facts.standing {
        names.write(fields, standing);
    }
    if head.method == Method::HEAD && body_bytes > 0 {
        // What GET would say (RFC 9110 section 9.3.2).
        fields.insert(CONTENT_LENGTH, HeaderValue::from(body_bytes));
        *response.body_mut() = Bytes::new();
    }
    response
}

/// What a 200 and a 304 have in common, or the head of a negative answer.
fn write_stored(response: &mut Response<Bytes>, stored: &StoredResponse, age: Duration) {
    *response.status_mut() = match stored.kind {
        Kind::BadRequest => StatusCode::BAD_REQUEST,
        Kind::List => StatusCode::OK,
        Kind::NotFound => StatusCode::NOT_FOUND,
    };
    let fields = response.headers_mut();
    let Some(tag) = &stored.tag else {
        fields.insert(CACHE_CONTROL, NO_STORE);
        return;
    };
    fields.insert(AGE, HeaderValue::from(age.as_secs()));
    fields.insert(CACHE_CONTROL, REVALIDATE);
    fields.insert(ETAG, tag.as_field_value().clone());
}
