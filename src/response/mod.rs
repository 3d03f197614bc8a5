//! Shaping an answer for one caller: everything that is added after the cache.
//!
//! What is stored is the same for everybody; what is sent depends on the request. This room
//! alone decides the fields of an answer, and [`shape`] alone their order: conditional first
//! (a 304 needs no body), then the coding and the body, then the fields that every answer has.

mod cors;
mod hit;
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
pub use hit::Hit;
pub use problem::{BucketFields, Connection, Problem, Retry};
pub use rate::RateLimitFields;

use crate::cache::{CacheStatus, Kind, StoredResponse};
use crate::limit::Standing;
use crate::message::{AcceptedCodings, Coding, EntityTag, FieldText, Fields, Named};
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
    pub request_id: FieldText,
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
pub fn shape(answer: &Answer, mut head: Parts, facts: &Facts<'_>) -> Shaped {
    let choice = Choice::of(answer, &head.headers);
    let page = facts.page(&head.headers);
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
            choice.write_times(response.headers_mut(), *times, facts.browser_max_age);
        }
        Answer::Version { bytes, times, .. } => {
            write_body(&mut response, Some(bytes), choice);
            choice.write_times(response.headers_mut(), *times, facts.browser_max_age);
        }
    }
    let body_bytes = response.body().len();
    let fields = response.headers_mut();
    facts.write(fields, page.as_ref());
    if let (Answer::Preflight, Some(cors), Some(_)) = (answer, facts.cors, page) {
        cors.write_preflight(fields);
    }
    if head.method == Method::HEAD && body_bytes > 0 {
        // What GET would say (RFC 9110 section 9.3.2).
        fields.insert(CONTENT_LENGTH, HeaderValue::from(body_bytes));
        *response.body_mut() = Bytes::new();
    }
    Shaped { response, coding: choice.coding }
}

impl Facts<'_> {
    /// The origin of the page that asks, if it may read the answer.
    fn page(&self, request: &HeaderMap) -> Option<HeaderValue> {
        self.cors?.allowed(request)
    }

    fn write(&self, fields: &mut impl Fields, page: Option<&HeaderValue>) {
        fields.put_text(X_REQUEST_ID, &self.request_id);
        fields.put(X_CONTENT_TYPE_OPTIONS, NOSNIFF);
        fields.put(VARY, VARY_ON);
        fields.put_text(CacheStatus::FIELD, &self.cache.to_text());
        if let Some((names, standing)) = self.standing {
            names.write(fields, standing);
        }
        if let Some(origin) = page {
            Cors::write(origin.clone(), fields);
        }
    }
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
            Answer::Stored { response, .. } => return Self::of_stored(response, fields),
            Answer::Version { tag, .. } => (Some(*tag), Coding::Identity),
            Answer::Accepted | Answer::Preflight | Answer::Problem(_) => (None, Coding::Identity),
        };
        Self::among(tag, coding, fields)
    }

    fn of_stored(stored: &StoredResponse, fields: &HeaderMap) -> Self {
        if stored.kind != Kind::List {
            return Self { coding: Coding::Identity, tag: None, known: false };
        }
        let there = |coding| stored.body_in(coding).is_some();
        Self::among(stored.tag, AcceptedCodings::of(fields).best(there), fields)
    }

    fn among(tag: Option<EntityTag>, coding: Coding, fields: &HeaderMap) -> Self {
        match tag.and_then(|tag| tag.named_in(fields)) {
            None => Self { coding, tag, known: false },
            Some(Named::Any) => Self { coding, tag, known: true },
            Some(Named::Tag(coding)) => Self { coding, tag, known: true },
        }
    }

    /// What the body is, where there is one.
    fn write_content(self, fields: &mut impl Fields) {
        fields.put(CONTENT_TYPE, JSON);
        if self.coding != Coding::Identity {
            fields.put(CONTENT_ENCODING, HeaderValue::from_static(self.coding.as_str()));
        }
    }

    /// What a 200 and a 304 have in common, or the little that a negative answer has.
    fn write_times(self, fields: &mut impl Fields, times: Times, browser_max_age: Duration) {
        let Some(tag) = self.tag else { return fields.put(CACHE_CONTROL, NO_STORE) };
        let age = times.age.as_secs();
        fields.put_text(AGE, FieldText::new("").number(age));
        fields.put_text(ETAG, &tag.to_text(self.coding));
        let usable = browser_max_age.min(times.ttl_left).as_secs();
        if usable == 0 {
            return fields.put(CACHE_CONTROL, REVALIDATE);
        }
        // A browser takes the age off again (RFC 9111 section 4.2.3).
        fields.put_text(CACHE_CONTROL, FieldText::new("private, max-age=").number(age + usable));
    }
}

fn write_body(response: &mut Response<Bytes>, body: Option<&Bytes>, choice: Choice) {
    if choice.known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return;
    }
    *response.body_mut() = body.cloned().unwrap_or_default();
    choice.write_content(response.headers_mut());
}
