//! Stored response: the upstream's bytes, and the values derived from them once. Immutable.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;

use super::codings::Codings;
use super::elements::{Element, Elements, Privacy};
use crate::file_id::VersionId;
use crate::message::{Coding, EntityTag};

/// Bytes of the shortest body that is encoded: a shorter one fits in a packet as it is.
const ENCODED_MIN: usize = 1024;

/// Kind of an upstream response that may be stored.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// 400: the upstream does not take this id.
    BadRequest,
    /// 200: a version list.
    List,
    /// 404: there is no such file.
    NotFound,
}

impl Kind {
    pub fn status(self) -> StatusCode {
        match self {
            Self::BadRequest => StatusCode::BAD_REQUEST,
            Self::List => StatusCode::OK,
            Self::NotFound => StatusCode::NOT_FOUND,
        }
    }
}

/// Complete, immutable response.
#[derive(Debug)]
pub struct StoredResponse {
    pub kind: Kind,
    pub body: Bytes,
    /// Entity tag of the body. Negative answers have none.
    pub tag: Option<EntityTag>,
    /// Time that its age counts from, on our monotonic clock: when it was requested from the upstream,
    /// less the `Age` that the upstream stated (RFC 9111 section 4.2.3).
    pub as_of: Duration,
    pub privacy: Privacy,
    elements: Elements,
    /// Boxed, since short bodies have none.
    codings: Option<Box<Codings>>,
}

impl StoredResponse {
    pub fn new(kind: Kind, body: Bytes, as_of: Duration) -> Self {
        let (tag, (elements, privacy)) = match kind {
            Kind::List => (Some(EntityTag::of(&body)), Elements::of(&body)),
            Kind::BadRequest | Kind::NotFound => (None, (Elements::default(), Privacy::Public)),
        };
        Self { kind, body, tag, as_of, privacy, elements, codings: None }
    }

    /// Returns the same response with these encoded bodies.
    #[must_use]
    pub fn with(&self, codings: Codings) -> Self {
        let Self { kind, tag, as_of, privacy, .. } = *self;
        let (body, elements) = (self.body.clone(), self.elements.clone());
        Self { kind, body, tag, as_of, privacy, elements, codings: Some(Box::new(codings)) }
    }

    /// Returns whether the body is worth encoding: see [`Codings::of`].
    pub fn is_worth_encoding(&self) -> bool {
        self.kind == Kind::List && self.body.len() >= ENCODED_MIN
    }

    /// Returns the body in a coding, if it was encoded.
    pub fn body_in(&self, coding: Coding) -> Option<&Bytes> {
        let codings = self.codings.as_deref();
        match coding {
            Coding::Brotli => codings?.brotli.as_ref(),
            Coding::Gzip => codings?.gzip.as_ref(),
            Coding::Identity => Some(&self.body),
        }
    }

    /// Returns the version with this id, as its bytes are in the list.
    pub fn version(&self, id: &VersionId) -> Option<&Element> {
        self.elements.find(id)
    }

    /// Returns the `filePath` of the newest version, for operators. Parses it at each call.
    pub fn file_path(&self) -> Option<String> {
        self.elements.file_path()
    }

    /// Returns `Age`: the time since `as_of`.
    pub fn age(&self, now: Duration) -> Duration {
        now.saturating_sub(self.as_of)
    }

    /// Returns the memory that it takes, in bytes.
    pub(super) fn weight(&self) -> usize {
        let bodies = Coding::ALL.into_iter().filter_map(|coding| self.body_in(coding));
        bodies.map(Bytes::len).sum::<usize>()
            + self.elements.weight()
            + size_of::<Self>()
            + self.codings.as_ref().map_or(0, |_| size_of::<Codings>())
    }
}
