//! Exchange: the record of one request and its response, which becomes one log and metrics event.
//!
//! An exchange ends by one rule, for every protocol and for the fast path:
//!
//! - Its duration runs from the complete request head to the ready response head. A client that
//!   reads slowly does not count against the gateway.
//! - Its bytes are the body bytes that were handed over: to the socket, to the TLS session, or to
//!   the writer of the HTTP/2 connection.
//! - Its ending is decided when the last of them is taken, or when the stream or connection is
//!   gone.
//!
//! `Drop` does this, because a request's future can be dropped at any await. Log and metrics read
//! the same event and so cannot disagree.

mod delivery;
#[expect(clippy::module_inception, reason = "the exchange itself, which its body uses")]
mod exchange;
mod label;
mod request_id;

pub use delivery::{Delivery, ExchangeBody};
pub use exchange::Exchange;
pub use label::{CacheLabel, CallerLabel, Ending, MethodLabel, RouteLabel};
