//! Fast path: answers plain requests from the cache without hyper. The decision is the same as on
//! the slow path; only the parsing and the writing differ.

use std::net::SocketAddr;
use std::sync::Arc;

use super::context::RequestContext;
use super::decide::Decision;
use super::state::Gateway;
use crate::error::GatewayError;
use crate::exchange::Delivery;
use crate::message::PlainRequest;
use crate::response::{self, Answer};

/// Outcome of the fast path for the bytes that a connection received.
pub enum Attempt {
    Hit(Hit),
    /// The bytes begin with a plain request that the fast path does not answer. It is decided on;
    /// the quota that this costs is spent.
    Decided(DecidedRequest),
    /// The bytes do not begin with a complete plain request.
    NotPlain,
}

/// Response whose head is written.
pub struct Hit {
    pub body: Delivery,
    /// Length of the request, in bytes.
    pub length: usize,
    /// Whether the client wants the connection to end.
    pub close: bool,
}

/// Request that has been decided on.
pub struct DecidedRequest {
    pub(super) context: RequestContext,
    pub(super) decided: Result<Decision, GatewayError>,
}

impl Gateway {
    /// Answers the request at the beginning of `received`, if it is plain and its response is
    /// stored. Writes the response's head to `head`, which must be empty. With `close`, the
    /// connection ends with this response in any case.
    pub fn try_hit(
        self: &Arc<Self>,
        received: &[u8],
        peer: SocketAddr,
        close: bool,
        head: &mut Vec<u8>,
    ) -> Attempt {
        let Some(plain) = PlainRequest::parse(received, &self.proxies.field) else {
            return Attempt::NotPlain;
        };
        let mut context = self.begin(&plain.head, peer);
        let decided = self.decide(&plain.head, false, &mut context);
        let Ok(Decision::Answer(Answer::Reusable(reusable))) = &decided else {
            return Attempt::Decided(DecidedRequest { context, decided });
        };
        let facts = context.facts();
        let close_after = close || plain.close;
        let written = response::write_plain(reusable, &plain.head, &facts, close_after, head);
        let RequestContext { exchange, .. } = context;
        let body = Delivery::new(exchange, written.status, written.coding, written.body);
        Attempt::Hit(Hit { body, length: plain.length, close: plain.close })
    }
}
