//! Future of a response, as hyper awaits it. It tells the connection when the response is ready.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::Response;

use super::Answering;

/// Hook of a connection that runs when a response is ready, and may change it.
pub(super) trait OnAnswer<B>: Unpin {
    type Body;

    fn answered(&mut self, response: Response<B>) -> Response<Self::Body>;
}

/// Response of a service, and the hook that runs when it is ready.
pub(super) struct Answered<B, C> {
    /// `None` once the response was taken.
    answering: Option<Answering<B>>,
    connection: C,
}

impl<B, C> Answered<B, C> {
    pub(super) fn new(answering: Answering<B>, connection: C) -> Self {
        Self { answering: Some(answering), connection }
    }
}

impl<B: Unpin, C: OnAnswer<B>> Future for Answered<B, C> {
    type Output = Result<Response<C::Body>, Infallible>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let response = match this.answering.take() {
            Some(Answering::Now(response)) => response,
            Some(Answering::Later(mut later)) => {
                let polled = later.as_mut().poll(context);
                this.answering = Some(Answering::Later(later));
                ready!(polled)
            }
            None => return Poll::Pending,
        };
        Poll::Ready(Ok(this.connection.answered(response)))
    }
}
