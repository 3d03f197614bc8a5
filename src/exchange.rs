//! The facts of one request, and the one event that is made of them.
//!
//! The event is emitted when the exchange ends, however it ends: the last byte of the body was
//! taken, the client went away before the head or during the body, or something panicked. That
//! is `Drop`'s work, since a request's future can vanish at any await. Log and metrics read the
//! same event and so cannot disagree.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};

use crate::cache::{CacheStatus, Forwarded};
use crate::clock::Clock;
use crate::message::Coding;
use crate::response::{Shaped, X_REQUEST_ID};
use crate::route::{Route, Wanted};

/// Longest id that is taken from a proxy, in bytes.
const REQUEST_ID_MAX: usize = 64;

/// What was asked for, as a label.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[repr(u8)]
pub enum RouteLabel {
    None,
    List,
    Element,
    Webhook,
}

impl RouteLabel {
    pub const ALL: [Self; 4] = [Self::None, Self::List, Self::Element, Self::Webhook];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::List => "list",
            Self::Element => "element",
            Self::Webhook => "webhook",
        }
    }
}

impl From<&Route<'_>> for RouteLabel {
    fn from(route: &Route<'_>) -> Self {
        match route {
            Route::Preflight | Route::Read(_, Wanted::List) => Self::List,
            Route::Read(_, Wanted::Version(_)) => Self::Element,
            Route::Webhook => Self::Webhook,
        }
    }
}

/// What the cache did, as a label.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[repr(u8)]
pub enum CacheLabel {
    None,
    Collapsed,
    Hit,
    Miss,
    Stale,
    StaleError,
}

impl CacheLabel {
    pub const ALL: [Self; 6] =
        [Self::None, Self::Collapsed, Self::Hit, Self::Miss, Self::Stale, Self::StaleError];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Collapsed => "collapsed",
            Self::Hit => "hit",
            Self::Miss => "miss",
            Self::Stale => "stale",
            Self::StaleError => "stale_error",
        }
    }
}

impl From<CacheStatus> for CacheLabel {
    fn from(status: CacheStatus) -> Self {
        match status {
            CacheStatus::Forwarded(Forwarded { collapsed: true, .. }) => Self::Collapsed,
            CacheStatus::Forwarded(_) => Self::Miss,
            CacheStatus::Hit { .. } => Self::Hit,
            CacheStatus::StaleHit { .. } => Self::Stale,
            CacheStatus::StaleIfError => Self::StaleError,
            CacheStatus::NotConsulted { .. } => Self::None,
        }
    }
}

/// Who asked, as a number that a name is looked up by: the fixed names first, then those that
/// configurations brought, in the order in which they did.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct CallerLabel(pub u64);

impl CallerLabel {
    pub const NONE: Self = Self(0);
    pub const ANONYMOUS: Self = Self(1);
    /// Whoever sends a token.
    pub const JWT: Self = Self(2);
    /// Names of the labels that are not configured, by number. No configured caller may have one.
    pub const FIXED: [&'static str; 3] = ["none", "anonymous", "jwt"];
}

/// One request on its way to its answer.
pub struct Exchange {
    clock: Clock,
    /// When the request's head was here.
    pub started: Duration,
    request_id: RequestId,
    pub route: RouteLabel,
    pub caller: CallerLabel,
    pub cache: CacheLabel,
    /// `None` until a response is handed over.
    status: Option<StatusCode>,
    coding: Coding,
    sent_bytes: u64,
}

impl Exchange {
    pub fn start(clock: &Clock) -> Self {
        Self {
            started: clock.monotonic(),
            clock: clock.clone(),
            request_id: RequestId::random(),
            route: RouteLabel::None,
            caller: CallerLabel::NONE,
            cache: CacheLabel::None,
            status: None,
            coding: Coding::Identity,
            sent_bytes: 0,
        }
    }

    /// One that ended with its head, which could not be read.
    pub fn unreadable(clock: &Clock, status: StatusCode) {
        Self::start(clock).status = Some(status);
    }

    /// Takes the id that a proxy of ours gave the request, if it is one.
    pub fn take_request_id(&mut self, fields: &HeaderMap) {
        let mut values = fields.get_all(X_REQUEST_ID).iter();
        let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-".contains(byte);
        if let (Some(given), None) = (values.next(), values.next())
            && (1..=REQUEST_ID_MAX).contains(&given.len())
            && given.as_bytes().iter().all(allowed)
        {
            self.request_id = RequestId::Given(Box::new(given.clone()));
        }
    }

    pub fn request_id(&self) -> HeaderValue {
        match &self.request_id {
            RequestId::Given(id) => HeaderValue::clone(id),
            RequestId::Made(digits) => {
                HeaderValue::from_bytes(digits).expect("hex digits are visible ASCII")
            }
        }
    }

    /// Ties the exchange to its response: it ends with the body.
    pub fn respond(mut self, Shaped { response, coding }: Shaped) -> Response<ExchangeBody> {
        self.status = Some(response.status());
        self.coding = coding;
        response.map(|bytes| ExchangeBody {
            bytes: Some(bytes).filter(|bytes| !bytes.is_empty()),
            exchange: self,
        })
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let took = self.clock.monotonic().saturating_sub(self.started);
        // Numbers only: whoever turns them into words does so once for each, not for each event.
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
        );
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
