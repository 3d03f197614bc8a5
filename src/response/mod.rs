//! Shaping an answer for one caller: everything that is added after the cache.
//!
//! What is stored is the same for everybody; what is sent depends on the request. This room
//! alone decides the fields of an answer, and [`shape`] alone their order: conditional first
//! (a 304 needs no body), then the coding and the body, then the fields that every answer has.

mod cors;
mod problem;
mod rate;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    AGE, ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderName,
    VARY, X_CONTENT_TYPE_OPTIONS,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};

pub use cors::{AllowedOrigin, Cors, InvalidOrigin};
pub use problem::{BucketFields, Connection, Problem, Retry};
pub use rate::RateLimitFields;

use crate::cache::{CacheStatus, Kind, StoredResponse};
use crate::limit::Standing;
use crate::message::{AcceptedCodings, Coding, EntityTag, FieldText, Named};
use crate::route::ALLOWED_METHODS;

pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");
const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const REVALIDATE: HeaderValue = HeaderValue::from_static("private, no-cache");
const VARY_ON: HeaderValue = HeaderValue::from_static("Origin, Accept-Encoding");

/// Room for every field of a hit, so that the map grows at most once.
const FIELDS: usize = 16;

/// What there is to say.
pub enum Answer {
    /// A webhook that was taken.
    Accepted,
    /// `OPTIONS`.
    Preflight,
    Problem(Problem),
    Stored {
        response: Arc<StoredResponse>,
        times: Times,
    },
    /// One version of a list, as it stands there.
    Version {
        bytes: Bytes,
        tag: EntityTag,
        times: Times,
    },
}

/// How old an answer is, and for how long it will do.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    pub age: Duration,
    /// Zero for what is stale, or was not stored at all.
    pub ttl_left: Duration,
}

/// What every answer says besides.
pub struct Facts<'a> {
    pub request_id: HeaderValue,
    pub cache: CacheStatus,
    /// `None` while no caller is known.
    pub standing: Option<(&'a RateLimitFields, Standing)>,
    /// How long browsers may use an answer without asking again.
    pub browser_max_age: Duration,
    /// `None`: no page of another origin may read anything.
    pub cors: Option<&'a Cors>,
}

/// A response, and the coding of its body.
pub struct Shaped {
    pub response: Response<Bytes>,
    pub coding: Coding,
}

/// Makes the response to `head`.
pub fn shape(answer: &Answer, mut head: Parts, facts: Facts<'_>) -> Shaped {
    let choice = Choice::of(answer, &head.headers);
    let page = facts.cors.and_then(|cors| Some((cors, cors.allowed(&head.headers)?)));
    // hyper uses one map for a connection's heads, handing each on to the next: the request's,
    // emptied, has room for the response's fields.
    let mut fields = std::mem::take(&mut head.headers);
    fields.clear();
    fields.reserve(FIELDS);
    let mut response = Response::new(Bytes::new());
    *response.headers_mut() = fields;
    match answer {
        Answer::Accepted => *response.status_mut() = StatusCode::NO_CONTENT,
        Answer::Preflight => {
            *response.status_mut() = StatusCode::NO_CONTENT;
            response.headers_mut().insert(ALLOW, HeaderValue::from_static(ALLOWED_METHODS));
        }
        Answer::Problem(problem) => problem.write(&mut response),
        Answer::Stored { response: stored, times } => {
            *response.status_mut() = stored.kind.status();
            write_body(&mut response, stored.body_in(choice.coding), choice);
            write_times(response.headers_mut(), *times, choice, facts.browser_max_age);
        }
        Answer::Version { bytes, times, .. } => {
            write_body(&mut response, Some(bytes), choice);
            write_times(response.headers_mut(), *times, choice, facts.browser_max_age);
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
    if let Some((cors, origin)) = page {
        Cors::write(origin, fields);
        if matches!(answer, Answer::Preflight) {
            cors.write_preflight(fields);
        }
    }
    if head.method == Method::HEAD && body_bytes > 0 {
        // What GET would say (RFC 9110 section 9.3.2).
        fields.insert(CONTENT_LENGTH, HeaderValue::from(body_bytes));
        *response.body_mut() = Bytes::new();
    }
    Shaped { response, coding: choice.coding }
}

/// Which bytes of an answer one request is sent.
#[derive(Clone, Copy)]
struct Choice {
    coding: Coding,
    /// `None`: nothing that a tag could name, such as a 404.
    tag: Option<EntityTag>,
    /// The request has them already.
    known: bool,
}

impl Choice {
    fn of(answer: &Answer, fields: &HeaderMap) -> Self {
        let (tag, coding) = match answer {
            Answer::Stored { response, .. } if response.kind == Kind::List => {
                let there = |coding| response.body_in(coding).is_some();
                (response.tag, AcceptedCodings::of(fields).best(there))
            }
            Answer::Version { tag, .. } => (Some(*tag), Coding::Identity),
            Answer::Accepted | Answer::Preflight | Answer::Problem(_) | Answer::Stored { .. } => {
                (None, Coding::Identity)
            }
        };
        match tag.and_then(|tag| tag.named_in(fields)) {
            None => Self { coding, tag, known: false },
            Some(Named::Any) => Self { coding, tag, known: true },
            Some(Named::Tag(coding)) => Self { coding, tag, known: true },
        }
    }
}

fn write_body(response: &mut Response<Bytes>, body: Option<&Bytes>, choice: Choice) {
    if choice.known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return;
    }
    *response.body_mut() = body.cloned().unwrap_or_default();
    let fields = response.headers_mut();
    fields.insert(CONTENT_TYPE, JSON);
    if choice.coding != Coding::Identity {
        let coding = HeaderValue::from_static(choice.coding.as_str());
        fields.insert(CONTENT_ENCODING, coding);
    }
}

/// What a 200 and a 304 have in common, or the little that a negative answer has.
fn write_times(fields: &mut HeaderMap, times: Times, choice: Choice, browser_max_age: Duration) {
    let Some(tag) = choice.tag else {
        fields.insert(CACHE_CONTROL, NO_STORE);
        return;
    };
    fields.insert(AGE, FieldText::new("").number(times.age.as_secs()).to_value());
    fields.insert(ETAG, tag.to_field_value(choice.coding));
    let usable = browser_max_age.min(times.ttl_left).as_secs();
    let control = if usable == 0 {
        REVALIDATE
    } else {
        // A browser takes the age off again (RFC 9111 section 4.2.3).
        let max_age = times.age.as_secs() + usable;
        FieldText::new("private, max-age=").number(max_age).to_value()
    };
    fields.insert(CACHE_CONTROL, control);
}
