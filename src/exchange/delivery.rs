//! Response body on its way to the socket. It owns the exchange, which ends when the body is
//! dropped.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use http::{Response, StatusCode};
use http_body::{Body, Frame, SizeHint};

use super::exchange::Exchange;
use crate::message::Coding;
use crate::response::CodedResponse;

/// Rest of one body. The writer advances it, so the exchange counts the bytes that were taken.
/// Dropping it ends the exchange.
pub struct Delivery {
    bytes: Bytes,
    exchange: Box<Exchange>,
}

impl Delivery {
    /// Ties an exchange to the body that ends it. The head of the response must be ready.
    pub fn new(
        mut exchange: Box<Exchange>,
        status: StatusCode,
        coding: Coding,
        bytes: Bytes,
    ) -> Self {
        exchange.ready(status, coding, bytes.len() as u64);
        Self { bytes, exchange }
    }

    /// Ties an exchange to the response that ends it.
    pub fn respond(
        exchange: Box<Exchange>,
        CodedResponse { response, coding }: CodedResponse,
    ) -> Response<ExchangeBody> {
        let (head, body) = response.into_parts();
        let delivery = Self::new(exchange, head.status, coding, body);
        Response::from_parts(head, ExchangeBody(Some(delivery)))
    }
}

impl Buf for Delivery {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        &self.bytes
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
        self.exchange.took(count);
    }
}

/// HTTP body that yields its one [`Delivery`] as a single frame.
pub struct ExchangeBody(Option<Delivery>);

impl Body for ExchangeBody {
    type Data = Delivery;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Delivery>, Infallible>>> {
        let delivery = self.0.take().filter(Buf::has_remaining);
        Poll::Ready(delivery.map(|delivery| Ok(Frame::data(delivery))))
    }

    fn is_end_stream(&self) -> bool {
        !self.0.as_ref().is_some_and(Buf::has_remaining)
    }

    fn size_hint(&self) -> SizeHint {
        let bytes = self.0.as_ref().map_or(0, Buf::remaining);
        SizeHint::with_exact(bytes as u64)
    }
}
