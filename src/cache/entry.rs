//! A stored response: the bytes as the upstream sent them, and what was worked out once so that
//! no hit has to.

use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;

use super::codings::Codings;
use super::elements::{Element, Elements, Privacy};
use crate::file_id::VersionId;
use crate::message::{Coding, EntityTag};

/// More uses than this are not told apart. Two bits, as S3-FIFO has them.
const USES_MAX: u8 = 3;

/// What the upstream said.
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

/// One response, complete and immutable but for how often it was used.
#[derive(Debug)]
pub struct StoredResponse {
    pub kind: Kind,
    pub body: Bytes,
    /// Of the body. Negative answers have none.
    pub tag: Option<EntityTag>,
    /// When the upstream was asked for it, by our monotonic clock: it is not younger than that,
    /// however long it took to come, or its process slept in between (RFC 9111 section 4.2.3).
    pub as_of: Duration,
    pub privacy: Privacy,
    /// Not spent yet by whoever looks for room.
    uses: AtomicU8,
    elements: Elements,
    /// Apart: short bodies have none.
    codings: Option<Box<Codings>>,
}

impl StoredResponse {
    pub fn new(kind: Kind, body: Bytes, as_of: Duration) -> Self {
        let (tag, (elements, privacy)) = match kind {
            Kind::List => (Some(EntityTag::of(&body)), Elements::of(&body)),
            Kind::BadRequest | Kind::NotFound => (None, (Elements::default(), Privacy::Public)),
        };
        let uses = AtomicU8::new(0);
        Self { kind, body, tag, as_of, privacy, uses, elements, codings: None }
    }

    /// The same, in these codings too.
    #[must_use]
    pub fn with(&self, codings: Codings) -> Self {
        let Self { kind, tag, as_of, privacy, .. } = *self;
        let (body, elements) = (self.body.clone(), self.elements.clone());
        let (uses, codings) = (AtomicU8::new(0), Some(Box::new(codings)));
        Self { kind, body, tag, as_of, privacy, uses, elements, codings }
    }

    /// Takes note that somebody was answered with it, which keeps it in the cache for longer. Once
    /// there are enough, nothing is written: what every core answers with stays in the cache of
    /// each.
    pub fn note_use(&self) {
        let uses = self.uses.load(Ordering::Relaxed);
        if uses < USES_MAX {
            self.uses.store(uses + 1, Ordering::Relaxed);
        }
    }

    /// Takes one use away, if there is one.
    pub(super) fn spend_use(&self) -> bool {
        let uses = self.uses.load(Ordering::Relaxed);
        self.uses.store(uses.saturating_sub(1), Ordering::Relaxed);
        uses > 0
    }

    /// Counts another's uses as its own: it takes that one's place.
    pub(super) fn inherit_uses(&self, other: &Self) {
        self.uses.store(other.uses.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    /// The body in a coding, if it was made.
    pub fn body_in(&self, coding: Coding) -> Option<&Bytes> {
        let codings = self.codings.as_deref();
        match coding {
            Coding::Brotli => codings?.brotli.as_ref(),
            Coding::Gzip => codings?.gzip.as_ref(),
            Coding::Identity => Some(&self.body),
        }
    }

    /// The version of this id, as it stands in the list.
    pub fn version(&self, id: VersionId<'_>) -> Option<&Element> {
        self.elements.find(id)
    }

    /// `Age`: time since the upstream was asked for it.
    pub fn age(&self, now: Duration) -> Duration {
        now.saturating_sub(self.as_of)
    }

    /// What it takes in memory, in bytes.
    pub(super) fn weight(&self) -> usize {
        let bodies = Coding::ALL.into_iter().filter_map(|coding| self.body_in(coding));
        bodies.map(Bytes::len).sum::<usize>()
            + self.elements.weight()
            + size_of::<Self>()
            + self.codings.as_ref().map_or(0, |_| size_of::<Codings>())
    }
}
