//! Record of one request: the facts that the pipeline's stages note, emitted as one event on drop.

use std::net::IpAddr;
use std::time::Duration;

use http::{Method, StatusCode};

use super::label::{CacheLabel, CallerLabel, Ending, MethodLabel, RouteLabel};
use super::request_id::RequestId;
use crate::clock::Clock;
use crate::file_id::FileId;
use crate::message::{Coding, RequestFields, TraceContext};

/// Record of one request, until its response is delivered or dropped.
pub struct Exchange {
    clock: Clock,
    /// Monotonic time at which the request's head was complete.
    pub started: Duration,
    request_id: RequestId,
    trace: Option<TraceContext>,
    /// Address of the client: of the peer, or as trusted proxies report it.
    pub client: IpAddr,
    method: MethodLabel,
    pub route: RouteLabel,
    pub file: Option<FileId>,
    pub caller: CallerLabel,
    pub cache: CacheLabel,
    /// Error code, if the gateway made the error itself.
    pub code: Option<&'static str>,
    /// Reason why the credential was not accepted.
    pub auth_reason: Option<&'static str>,
    /// `None` until the response is ready.
    ready: Option<Ready>,
    /// Bytes of the body that the connection has taken so far.
    sent_bytes: u64,
}

/// Facts of a ready response that the event reports.
#[derive(Clone, Copy)]
struct Ready {
    at: Duration,
    status: StatusCode,
    coding: Coding,
    body_bytes: u64,
}

impl Exchange {
    /// Starts the exchange of a request whose head was complete at `now`. Boxed, because it moves
    /// with everything that becomes its response, into hyper and through it.
    pub fn start(clock: &Clock, now: Duration, client: IpAddr, method: &Method) -> Box<Self> {
        Box::new(Self {
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
            auth_reason: None,
            ready: None,
            sent_bytes: 0,
        })
    }

    /// Starts the exchange of a head that could not be read.
    pub fn unreadable(clock: &Clock, client: IpAddr) -> Box<Self> {
        let mut exchange = Self::start(clock, clock.monotonic(), client, &Method::GET);
        exchange.method = MethodLabel::Other;
        exchange
    }

    /// Takes the request id and the trace context that a trusted proxy sent.
    pub fn trust_proxy(&mut self, fields: &RequestFields<'_>) {
        if let Some(given) = RequestId::given(fields) {
            self.request_id = given;
        }
        self.trace = TraceContext::of(fields);
    }

    pub fn trace(&self) -> Option<TraceContext> {
        self.trace
    }

    /// Returns the current time since 1970.
    pub fn unix_time(&self) -> Duration {
        self.clock.unix_time()
    }

    /// Returns the id as visible ASCII.
    pub fn request_id(&self) -> &[u8] {
        self.request_id.as_bytes()
    }

    /// Notes that the response's head is ready. The exchange is complete once `body_bytes` have
    /// been taken.
    pub(super) fn ready(&mut self, status: StatusCode, coding: Coding, body_bytes: u64) {
        self.ready = Some(Ready { at: self.clock.monotonic(), status, coding, body_bytes });
    }

    /// Counts bytes of the body that the connection took.
    pub(super) fn took(&mut self, bytes: usize) {
        self.sent_bytes += bytes as u64;
    }

    fn ending(&self) -> Ending {
        match self.ready {
            _ if std::thread::panicking() => Ending::Panicked,
            None => Ending::LeftBeforeHead,
            Some(ready) if self.sent_bytes < ready.body_bytes => Ending::LeftDuringBody,
            Some(_) => Ending::Answered,
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let until = self.ready.map_or_else(|| self.clock.monotonic(), |ready| ready.at);
        let duration = until.saturating_sub(self.started);
        // Numbers where possible: each layer turns a number into a word once, and not for each
        // event. Texts are borrowed. Nothing is formatted unless a line is written.
        tracing::info!(
            target: "ikgate.exchange",
            route = self.route as u64,
            caller = self.caller.0,
            cache = self.cache as u64,
            // 0: the client went away before the response's head was ready.
            status = self.ready.map_or(0, |ready| u64::from(ready.status.as_u16())),
            coding = self.ready.map_or(Coding::Identity, |ready| ready.coding) as u64,
            bytes = self.sent_bytes,
            duration_nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX),
            ending = self.ending() as u64,
            request.id = self.request_id(),
            client.addr = bits_of(self.client),
            method = self.method.as_str(),
            file.id = self.file.as_ref().map(FileId::as_bytes),
            error.code = self.code,
            auth.reason = self.auth_reason,
            trace.id = self.trace.as_ref().map(TraceContext::trace_id),
        );
    }
}

/// Returns an address as a number, an IPv4 address as its IPv4-mapped IPv6 address.
fn bits_of(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::{Arc, Mutex};

    use tracing::field::{Field, Visit};
    use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

    use super::*;

    /// Test layer that records the ending of each exchange.
    #[derive(Clone, Default)]
    struct Endings(Arc<Mutex<Vec<u64>>>);

    impl<S: tracing::Subscriber> Layer<S> for Endings {
        fn on_event(&self, event: &tracing::Event<'_>, _context: Context<'_, S>) {
            event.record(&mut self.clone());
        }
    }

    impl Visit for Endings {
        fn record_u64(&mut self, field: &Field, value: u64) {
            if field.name() == "ending" {
                self.0.lock().unwrap().push(value);
            }
        }

        fn record_debug(&mut self, _field: &Field, _value: &dyn std::fmt::Debug) {}
    }

    #[test]
    fn an_exchange_that_is_dropped_by_a_panic_says_so_whether_or_not_its_response_was_ready() {
        let endings = Endings::default();
        let subscriber = tracing_subscriber::registry().with(endings.clone());
        let _recorded = tracing::subscriber::set_default(subscriber);
        for is_ready in [false, true] {
            let panicked = std::panic::catch_unwind(|| {
                let (clock, client) = (Clock::manual(), IpAddr::V4(Ipv4Addr::LOCALHOST));
                let mut exchange = Exchange::start(&clock, Duration::ZERO, client, &Method::GET);
                if is_ready {
                    exchange.ready(StatusCode::OK, Coding::Identity, 2);
                }
                panic!("a fault of the gateway's own");
            });
            assert!(panicked.is_err());
        }
        assert_eq!(*endings.0.lock().unwrap(), [Ending::Panicked as u64; 2]);
    }
}
