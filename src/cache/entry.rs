//! A stored response: the bytes as the upstream sent them, and what was worked out once so that
//! no hit has to.

use std::time::Duration;

use bytes::Bytes;

use crate::message::EntityTag;

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

/// One response, complete and immutable.
#[derive(Clone, Debug)]
pub struct StoredResponse {
    pub kind: Kind,
    pub body: Bytes,
    /// Of the body. Negative answers have none.
    pub tag: Option<EntityTag>,
    /// When it was received, by our monotonic clock.
    pub received: Duration,
}

impl StoredResponse {
    pub fn new(kind: Kind, body: Bytes, received: Duration) -> Self {
        let tag = (kind == Kind::List).then(|| EntityTag::of(&body));
        Self { kind, body, tag, received }
    }

    /// `Age`: time since it was received (RFC 9111 section 4.2.3).
    pub fn age(&self, now: Duration) -> Duration {
        now.saturating_sub(self.received)
    }
}
