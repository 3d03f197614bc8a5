//! Responses in their final form: content, fields and their order.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Response, StatusCode};

use super::constants::{NOSNIFF, VARY};
use super::cors::Cors;
use super::document::{Document, VARY_BY_TYPE};
use super::problem::Problem;
use super::rate::RateLimitFields;
use super::reusable::Reusable;
use crate::cache::CacheStatus;
use crate::limit::QuotaStatus;
use crate::message::{
    Coding, ConstantField, FieldMap, FieldName, Fields, RequestFields, RequestHead, ResponseField,
    ResponseHead,
};
use crate::route::ALLOWED_METHODS;

/// Result of the pipeline, before it is shaped for the caller.
pub enum Answer {
    /// A webhook was accepted.
    Accepted,
    /// A document about the gateway was requested.
    Document(Document),
    /// `OPTIONS` was requested.
    Preflight,
    Problem(Problem),
    /// A response that is stored, or was just fetched.
    Reusable(Reusable),
}

/// Facts that every response states besides its content.
pub struct ResponseFacts<'a> {
    /// Request id, visible ASCII.
    pub request_id: &'a [u8],
    pub cache: CacheStatus,
    /// Quota fields of the caller and its status. `None` until the request is charged to a quota,
    /// such as for a 400, 401, 403 or 404 of the route.
    pub quota_status: Option<(&'a RateLimitFields, QuotaStatus)>,
    /// Time for which browsers may reuse a response without revalidation.
    pub browser_max_age: Duration,
    /// Rules for pages, if a page sent the request and may read the response.
    pub cors: Option<&'a Cors>,
    /// Time since 1970 at which the response is sent. hyper's own clock stands still after the
    /// system clock was set back.
    pub now: Duration,
}

/// Response, and the coding of its body.
pub struct CodedResponse {
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
pub fn shape(answer: &Answer, head: &RequestHead<'_>, facts: &ResponseFacts<'_>) -> CodedResponse {
    let page = facts.page(&head.fields);
    let (mut fields, mut vary) = (FieldMap::default(), &VARY);
    let (status, body, coding) = match answer {
        Answer::Accepted => (StatusCode::NO_CONTENT, Bytes::new(), Coding::Identity),
        Answer::Document(document) => {
            document.write(&mut fields);
            vary = &VARY_BY_TYPE;
            (StatusCode::OK, document.body.clone(), Coding::Identity)
        }
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
            let negotiated = reusable.choose(&head.fields);
            vary = negotiated.write(&mut fields, facts.browser_max_age);
            (negotiated.status, negotiated.body.unwrap_or_default(), negotiated.coding)
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
    CodedResponse { response, coding }
}

/// Writes the response to a plain request. Its HTTP/1.1 head goes to `into`, which must be empty.
/// With `close`, the connection ends with this response.
pub fn write_plain(
    answer: &Reusable,
    head: &RequestHead<'_>,
    facts: &ResponseFacts<'_>,
    close: bool,
    into: &mut Vec<u8>,
) -> PlainResponse {
    let negotiated = answer.choose(&head.fields);
    let mut written = ResponseHead::begin(into, negotiated.status);
    let vary = negotiated.write(&mut written, facts.browser_max_age);
    facts.write(&mut written, facts.page(&head.fields), vary);
    written.end(negotiated.body.as_ref().map(Bytes::len), close);
    let (status, coding) = (negotiated.status, negotiated.coding);
    PlainResponse { status, coding, body: negotiated.body.unwrap_or_default() }
}

impl ResponseFacts<'_> {
    /// Returns the origin of the page that sent the request, if that page may read the response.
    fn page<'b>(&self, request: &RequestFields<'b>) -> Option<&'b [u8]> {
        self.cors.and_then(|_| request.only(FieldName::Origin))
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
