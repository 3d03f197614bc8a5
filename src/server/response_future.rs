//! Future of a response, as hyper awaits it. It tells the connection when the response is ready.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::Response;

use super::service::ServiceResponse;

/// Hook of a connection that runs when a response is ready, and may change it.
pub(super) trait OnResponse<B>: Unpin {
    type Body;

    fn on_response(&mut self, response: Response<B>) -> Response<Self::Body>;
}

/// Response of a service, and the hook that runs when it is ready.
pub(super) struct ResponseFuture<B, C> {
    /// `None` once the response was taken.
    answering: Option<ServiceResponse<B>>,
    connection: C,
}

impl<B, C> ResponseFuture<B, C> {
    pub(super) fn new(answering: ServiceResponse<B>, connection: C) -> Self {
        Self { answering: Some(answering), connection }
    }
}

impl<B: Unpin, C: OnResponse<B>> Future for ResponseFuture<B, C> {
    type Output = Result<Response<C::Body>, Infallible>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let response = match this.answering.take() {
            Some(ServiceResponse::Ready(response)) => response,
            Some(ServiceResponse::Pending(mut later)) => {
                let polled = later.as_mut().poll(context);
                this.answering = Some(ServiceResponse::Pending(later));
                ready!(polled)
            }
            None => return Poll::Pending,
        };
        Poll::Ready(Ok(this.connection.on_response(response)))
    }
}
