//! Facts of one request, and the one event that is made of them.
//!
//! An exchange ends by one rule, whichever way the request came in:
//!
//! - Its duration runs from the request's head to the response's head being ready. How fast a
//!   client reads says nothing about the gateway.
//! - Its bytes are those of the body that the socket took (in HTTP/2, the connection's writer;
//!   under TLS, the session).
//! - Its ending is decided when the last of them is taken, or the stream or connection is gone.
//!
//! That is `Drop`'s work, since a request's future can be dropped at any await. Log and metrics
//! read the same event and so cannot disagree.

mod delivery;
#[expect(clippy::module_inception, reason = "the exchange itself, which its body uses")]
mod exchange;
mod label;
mod request_id;

pub use delivery::{Delivery, ExchangeBody};
pub use exchange::Exchange;
pub use label::{CacheLabel, CallerLabel, Ending, MethodLabel, RouteLabel};
