//! The fast path: plain requests whose answer is stored, without hyper. The decision is the same;
//! only the parsing and the writing differ.

use std::net::SocketAddr;
use std::sync::Arc;

use super::decide::Decision;
use super::{Gateway, RequestContext};
use crate::error::GatewayError;
use crate::exchange::Delivery;
use crate::message::PlainRequest;
use crate::response::{self, Answer};

/// Outcome of trying the fast path on the bytes that a connection received.
pub enum Attempt {
    Hit(Hit),
    /// They begin with a plain request that is answered in another way. It is decided on, and its
    /// quota is spent.
    Begun(Begun),
    /// They do not begin with a plain request that is complete.
    NotPlain,
}

/// A response whose head is written.
pub struct Hit {
    pub body: Delivery,
    /// Bytes that the request took.
    pub length: usize,
    /// Whether the client wants the connection to end.
    pub close: bool,
}

/// A request that has been decided on.
pub struct Begun {
    pub(super) context: RequestContext,
    pub(super) decided: Result<Decision, GatewayError>,
}

impl Gateway {
    /// Answers the request at the beginning of `received`, if it is plain and its answer is stored.
    /// The response's head is written to `head`, which must be empty. `close`: the connection ends
    /// with it in any case.
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
            return Attempt::Begun(Begun { context, decided });
        };
        let facts = context.facts();
        let close_after = close || plain.close;
        let written = response::write_plain(reusable, &plain.head, &facts, close_after, head);
        let RequestContext { exchange, .. } = context;
        let body = Delivery::new(exchange, written.status, written.coding, written.body);
        Attempt::Hit(Hit { body, length: plain.length, close: plain.close })
    }
}
