//! Version list, or one version of it, as it is sent for one request. It chooses the coding, then
//! evaluates the condition (a 304 needs no body), then writes the fields about its age.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;

use super::constants::{JSON, NO_STORE, VARY, VARY_BY_USER};
use crate::cache::{Element, Kind, StoredResponse};
use crate::message::{
    AcceptedCodings, Coding, ConstantField, EntityTag, FieldText, Fields, RequestFields,
    ResponseField, TagMatch, constant_field,
};

static REVALIDATE: ConstantField =
    constant_field!(CacheControl, "cache-control", "private, no-cache");
static BROTLI: ConstantField = constant_field!(ContentEncoding, "content-encoding", "br");
static GZIP: ConstantField = constant_field!(ContentEncoding, "content-encoding", "gzip");

/// Response that is stored, or was just fetched, with its age.
pub struct Reusable {
    content: Content,
    times: ResponseAge,
}

enum Content {
    /// The whole response of the upstream.
    Stored(Arc<StoredResponse>),
    /// One version of a list, byte for byte as it stands in the list.
    Version { bytes: Bytes, tag: EntityTag },
}

/// Age of a response, and its remaining freshness.
#[derive(Clone, Copy, Debug)]
pub struct ResponseAge {
    pub age: Duration,
    /// Remaining freshness. Zero for a stale response, and for one that must not be reused.
    pub ttl_left: Duration,
}

/// Status, coding and bytes of a response that were chosen for one request.
pub(super) struct Negotiated {
    pub(super) status: StatusCode,
    pub(super) coding: Coding,
    /// `None`: the status allows no body.
    pub(super) body: Option<Bytes>,
    /// `None` for a negative response.
    tag: Option<EntityTag>,
    times: ResponseAge,
}

impl Reusable {
    pub fn stored(response: Arc<StoredResponse>, times: ResponseAge) -> Self {
        Self { content: Content::Stored(response), times }
    }

    pub fn version(element: &Element, times: ResponseAge) -> Self {
        let content = Content::Version { bytes: element.bytes.clone(), tag: element.tag() };
        Self { content, times }
    }

    /// Chooses status, coding and body for a request with these fields.
    pub(super) fn choose(&self, request: &RequestFields<'_>) -> Negotiated {
        let (status, tag, coding) = match &self.content {
            Content::Stored(stored) if stored.kind == Kind::List => {
                let is_available = |coding| stored.body_in(coding).is_some();
                let coding = AcceptedCodings::of(request).best(is_available);
                (StatusCode::OK, stored.tag, coding)
            }
            Content::Stored(stored) => (stored.kind.status(), None, Coding::Identity),
            Content::Version { tag, .. } => (StatusCode::OK, Some(*tag), Coding::Identity),
        };
        let times = self.times;
        match tag.and_then(|tag| tag.match_in(request)) {
            None => Negotiated { status, coding, body: Some(self.body_in(coding)), tag, times },
            Some(named) => {
                let coding = if let TagMatch::Tag(coding) = named { coding } else { coding };
                Negotiated { status: StatusCode::NOT_MODIFIED, coding, body: None, tag, times }
            }
        }
    }

    fn body_in(&self, coding: Coding) -> Bytes {
        match &self.content {
            Content::Stored(stored) => stored.body_in(coding).cloned().unwrap_or_default(),
            Content::Version { bytes, .. } => bytes.clone(),
        }
    }
}

impl Negotiated {
    /// Writes the fields about the content and its age. Returns the `Vary` that goes with them.
    pub(super) fn write(
        &self,
        fields: &mut impl Fields,
        browser_max_age: Duration,
    ) -> &'static ConstantField {
        if self.body.is_some() {
            fields.put_constant(&JSON);
            match self.coding {
                Coding::Brotli => fields.put_constant(&BROTLI),
                Coding::Gzip => fields.put_constant(&GZIP),
                Coding::Identity => {}
            }
        }
        let Some(tag) = self.tag else {
            fields.put_constant(&NO_STORE);
            return &VARY;
        };
        let age = self.times.age.as_secs();
        fields.put_number(ResponseField::Age, age);
        fields.put_bytes(ResponseField::ETag, tag.to_text(self.coding).as_bytes());
        let usable = browser_max_age.min(self.times.ttl_left).as_secs();
        if usable == 0 {
            fields.put_constant(&REVALIDATE);
            return &VARY;
        }
        // A browser subtracts the age again (RFC 9111 section 4.2.3).
        let mut max_age = FieldText::new("private, max-age=");
        fields.put_bytes(ResponseField::CacheControl, max_age.number(age + usable).as_bytes());
        &VARY_BY_USER
    }
}
