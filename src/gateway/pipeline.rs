//! Answers one request: the synchronous half, and if it is not enough, the asynchronous half.

use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::Arc;

use arc_swap::Guard;
use http::{Request, Response};

use super::context::RequestContext;
use super::continuation;
use super::decide::Decision;
use super::fast_path::DecidedRequest;
use super::request_body::GatewayBody;
use super::state::Gateway;
use crate::exchange::{Exchange, ExchangeBody};
use crate::message::{HeadFault, RequestHead};
use crate::response::PageAccess;

/// Future of a response that has to be waited for. Boxed, so that the future of a hit stays small.
pub type PendingResponse = Pin<Box<dyn Future<Output = Response<ExchangeBody>> + Send>>;

impl Gateway {
    /// Answers one request, at once if its head alone decides. `begun` is the request as
    /// [`Gateway::try_hit`] has decided on it already, if it has.
    pub fn answer<B: GatewayBody>(
        self: &Arc<Self>,
        request: Request<B>,
        peer: SocketAddr,
        begun: Option<DecidedRequest>,
    ) -> ControlFlow<Response<ExchangeBody>, PendingResponse> {
        let (parts, body) = request.into_parts();
        let head = RequestHead::of(&parts, &self.proxies.field);
        let (mut context, decided) = if let Some(DecidedRequest { context, decided }) = begun {
            (context, decided)
        } else {
            let mut context = self.begin(&head, peer);
            let decided = self.decide(&head, !body.is_end_stream(), &mut context);
            (context, decided)
        };
        match decided {
            Ok(Decision::Answer(answer)) => ControlFlow::Break(context.respond(&answer, &head)),
            Err(error) => ControlFlow::Break(context.refuse(&error, &head)),
            Ok(Decision::Continuation(rest)) => {
                drop(head);
                // A borrowed guard takes one of its thread's few slots, and this future may live
                // long.
                context.rules = Guard::from_inner(Arc::clone(&context.rules));
                let gateway = Arc::clone(self);
                ControlFlow::Continue(Box::pin(continuation::finish(
                    gateway, rest, parts, body, context,
                )))
            }
        }
    }

    /// Answers a head that could not be read. `begun` is set if the fast path's parser could read
    /// the head and hyper's could not.
    pub fn refuse_head(
        &self,
        peer: SocketAddr,
        fault: HeadFault,
        begun: Option<DecidedRequest>,
    ) -> Response<ExchangeBody> {
        let unread = || RequestContext {
            exchange: Exchange::unreadable(&self.clock, peer.ip()),
            rules: self.rules.load(),
            page: PageAccess::NotNeeded,
            cache: None,
            quota: None,
        };
        let context = begun.map_or_else(unread, |begun| begun.context);
        context.refuse(&fault.into(), &RequestHead::unreadable())
    }
}
