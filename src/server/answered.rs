//! An answer in the making, as hyper waits for it.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::Response;

use super::Answering;

/// What a connection notes when an answer is there, and does with it.
pub(super) trait OnAnswer<B>: Unpin {
    type Body;

    fn answered(&mut self, response: Response<B>) -> Response<Self::Body>;
}

/// Answer of a service, with what its connection does then.
pub(super) struct Answered<B, C> {
    /// `None` once it was taken.
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
