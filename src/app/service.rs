//! Adapter between the connections and the request pipeline: [`Service`] for [`Gateway`].

use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::sync::Arc;

use http::{Request, Response};
use hyper::body::Incoming;

use crate::exchange::{Delivery, ExchangeBody};
use crate::gateway::{Attempt, DecidedRequest, Gateway, Hit};
use crate::message::HeadFault;
use crate::server::{FastPath, Service, ServiceResponse, Unreadable};

impl Service for Gateway {
    type Data = Delivery;
    type Body = ExchangeBody;
    type Begun = DecidedRequest;

    fn call(
        self: &Arc<Self>,
        request: Request<Incoming>,
        peer: SocketAddr,
        begun: Option<DecidedRequest>,
    ) -> ServiceResponse<ExchangeBody> {
        match self.answer(request, peer, begun) {
            ControlFlow::Break(response) => ServiceResponse::Ready(response),
            ControlFlow::Continue(later) => ServiceResponse::Pending(later),
        }
    }

    fn has_fast_path(&self) -> bool {
        true
    }

    fn try_hit(
        self: &Arc<Self>,
        received: &[u8],
        peer: SocketAddr,
        close: bool,
        head: &mut Vec<u8>,
    ) -> FastPath<Delivery, DecidedRequest> {
        match Gateway::try_hit(self, received, peer, close, head) {
            Attempt::Hit(Hit { body, length, close }) => FastPath::Hit { body, length, close },
            Attempt::Decided(begun) => FastPath::Other(Some(begun)),
            Attempt::NotPlain => FastPath::Other(None),
        }
    }

    fn refuse(
        &self,
        peer: SocketAddr,
        refused: Unreadable,
        begun: Option<DecidedRequest>,
    ) -> Option<Response<ExchangeBody>> {
        let fault = match refused {
            Unreadable::Malformed => HeadFault::Malformed,
            Unreadable::TimedOut => HeadFault::TimedOut,
            Unreadable::TooLong => HeadFault::TooLong,
        };
        Some(self.refuse_head(peer, fault, begun))
    }
}
