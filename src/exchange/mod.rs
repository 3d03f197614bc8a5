//! The facts of one request, and the one event that is made of them.
//!
//! The event is emitted when the exchange ends, however it ends: the last byte of the body was
//! taken, the client went away before the head or during the body, or something panicked. That
//! is `Drop`'s work, since a request's future can vanish at any await. Log and metrics read the
//! same event and so cannot disagree.

mod label;

use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
pub use label::{CacheLabel, CallerLabel, Ending, MethodLabel, RouteLabel};

use crate::clock::Clock;
use crate::file_id::FileId;
use crate::message::{Coding, FieldText, TraceContext};
use crate::response::{Shaped, X_REQUEST_ID};

/// Longest id that is taken from a proxy, in bytes.
const REQUEST_ID_MAX: usize = 64;

/// One request on its way to its answer.
pub struct Exchange {
    clock: Clock,
    /// When the request's head was here.
    pub started: Duration,
    request_id: RequestId,
    /// Boxed: few are part of a trace, and an exchange is moved several times.
    trace: Option<Box<TraceContext>>,
    /// Where the request came from, as far as is known.
    pub client: IpAddr,
    method: MethodLabel,
    pub route: RouteLabel,
    pub file: Option<FileId>,
    pub caller: CallerLabel,
    pub cache: CacheLabel,
    /// Of an error that is our own.
    pub code: Option<&'static str>,
    /// `None` until a response is handed over.
    status: Option<StatusCode>,
    coding: Coding,
    /// When the answer was there, if that is not where the exchange ends.
    ready: Option<Duration>,
    sent_bytes: u64,
    /// Of the body.
    left_bytes: bool,
}

impl Exchange {
    pub fn start(clock: &Clock, client: IpAddr, method: &Method) -> Self {
        Self::start_at(clock, clock.monotonic(), client, method)
    }

    /// `now`: of this clock, a moment ago.
    pub fn start_at(clock: &Clock, now: Duration, client: IpAddr, method: &Method) -> Self {
        Self {
            started: now,
            clock: clock.clone(),
            request_id: RequestId::random(),
            trace: None,
            client,
            method: method.into(),
            route: RouteLabel::None,
            file: None,
            caller: CallerLabel::NONE,
            cache: CacheLabel::None,
            code: None,
            status: None,
            coding: Coding::Identity,
            ready: None,
            sent_bytes: 0,
            left_bytes: false,
        }
    }

    /// One that ended with its head, which could not be read.
    pub fn unreadable(clock: &Clock, client: IpAddr, status: StatusCode) {
        let mut exchange = Self::start(clock, client, &Method::GET);
        exchange.method = MethodLabel::Other;
        exchange.status = Some(status);
    }

    /// Takes what a proxy of ours says of the request besides where it comes from.
    pub fn take_word_of_proxy(&mut self, fields: &HeaderMap) {
        self.take_request_id(fields);
        self.trace = TraceContext::of(fields).map(Box::new);
    }

    pub fn trace(&self) -> Option<TraceContext> {
        self.trace.as_deref().copied()
    }

    /// Takes the id that a proxy of ours gave the request, if it is one.
    fn take_request_id(&mut self, fields: &HeaderMap) {
        let mut values = fields.get_all(X_REQUEST_ID).iter();
        let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-".contains(byte);
        if let (Some(given), None) = (values.next(), values.next())
            && (1..=REQUEST_ID_MAX).contains(&given.len())
            && given.as_bytes().iter().all(allowed)
        {
            self.request_id = RequestId::Given(Box::new(given.clone()));
        }
    }

    pub fn request_id(&self) -> FieldText {
        let mut text = FieldText::new("");
        text.bytes(self.request_id.as_bytes());
        text
    }

    /// Ties the exchange to its response: it ends with the body.
    pub fn respond(mut self, Shaped { response, coding }: Shaped) -> Response<ExchangeBody> {
        self.status = Some(response.status());
        self.coding = coding;
        response.map(|bytes| {
            self.left_bytes = !bytes.is_empty();
            ExchangeBody { bytes: Some(bytes).filter(|bytes| !bytes.is_empty()), exchange: self }
        })
    }

    /// Ties the exchange to a response that is sent without a [`Response`]: it ends with
    /// [`Exchange::delivered`], or early. Its duration ends here, as that of the others does with
    /// the handing over: how fast a client reads says nothing of the gateway.
    pub fn sending(&mut self, status: StatusCode, coding: Coding, has_body: bool) {
        self.ready = Some(self.clock.monotonic());
        self.status = Some(status);
        self.coding = coding;
        self.left_bytes = has_body;
    }

    /// So many bytes more of the body have been taken.
    pub fn took(&mut self, bytes: usize) {
        self.sent_bytes += bytes as u64;
    }

    /// All that was to be sent has been taken.
    pub fn delivered(mut self) {
        self.left_bytes = false;
    }

    fn ending(&self) -> Ending {
        match self.status {
            _ if std::thread::panicking() => Ending::Panicked,
            None => Ending::LeftBeforeHead,
            Some(_) if self.left_bytes => Ending::LeftDuringBody,
            Some(_) => Ending::Answered,
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let ready = self.ready.unwrap_or_else(|| self.clock.monotonic());
        let took = ready.saturating_sub(self.started);
        // Numbers, as far as it goes: whoever turns them into words does so once for each, not for
        // each event. Texts are borrowed, and nothing is formatted unless somebody writes it down.
        tracing::info!(
            target: "ikgate.exchange",
            route = self.route as u64,
            caller = self.caller.0,
            cache = self.cache as u64,
            // 0: the client went away before there was one.
            status = self.status.map_or(0, |status| u64::from(status.as_u16())),
            coding = self.coding as u64,
            bytes = self.sent_bytes,
            duration_nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX),
            ending = self.ending() as u64,
            request.id = self.request_id.as_bytes(),
            client.addr = bits_of(self.client),
            method = self.method.as_str(),
            file.id = self.file.as_ref().map(FileId::as_bytes),
            error.code = self.code,
            trace.id = self.trace.as_deref().map(TraceContext::trace_id),
        );
    }
}

/// An address as a number, IPv4 as the IPv6 addresses that stand for it.
fn bits_of(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// A response's body, and the exchange that ends with it.
pub struct ExchangeBody {
    bytes: Option<Bytes>,
    exchange: Exchange,
}

impl Body for ExchangeBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let bytes = self.bytes.take();
        self.exchange.left_bytes = false;
        self.exchange.sent_bytes += bytes.as_ref().map_or(0, |bytes| bytes.len() as u64);
        Poll::Ready(bytes.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}

enum RequestId {
    /// By a proxy of ours. Boxed: few have one, and an exchange is moved several times.
    Given(Box<HeaderValue>),
    /// 64 random bits in hex: enough to tell requests of one day's log apart.
    Made([u8; 16]),
}

impl RequestId {
    /// Visible ASCII.
    fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Given(id) => id.as_bytes(),
            Self::Made(digits) => digits,
        }
    }

    fn random() -> Self {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let bits = fastrand::u64(..);
        let digit = |place: usize| {
            let nibble = usize::try_from((bits >> (place * 4)) & 0xf).unwrap_or_default();
            DIGITS.get(nibble).copied().unwrap_or(b'0')
        };
        Self::Made(std::array::from_fn(digit))
    }
}
