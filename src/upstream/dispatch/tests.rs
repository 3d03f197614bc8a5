//! Tests of dispatch: a call that could not return before its deadline does not leave.

use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http_body_util::Full;
use tokio::sync::Semaphore;

use super::*;
use crate::limit::Quota;
use crate::upstream::body::{BodyCoding, BodyMemory};
use crate::upstream::response::{ResponseKind, Storable};
use crate::upstream::{BreakerSettings, RetrySettings, UpstreamUrl};

const WHOLE: Duration = Duration::from_secs(1);
const LATENCY: Duration = Duration::from_millis(300);

/// Upstream with a latency of [`LATENCY`], which answers as many calls as it has permits.
struct Slow {
    clock: Clock,
    permits: Semaphore,
    calls: AtomicUsize,
    bodies: BodyMemory,
}

impl Transport for Slow {
    async fn exchange(&self, _request: &FetchRequest, _key: &Secret, now: Duration) -> CallResult {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.permits.acquire().await.unwrap().forget();
        self.clock.advance(LATENCY);
        let body = Full::from(Bytes::from_static(b"[]"));
        let (bytes, permit) = self.bodies.read(body, BodyCoding::Identity).await.unwrap();
        let (kind, storable) = (ResponseKind::List(bytes), Storable::Yes);
        let response = Ok(UpstreamResponse { kind, storable, as_of: now, permit });
        CallResult { response, window: None, pause: None }
    }
}

/// Creates a dispatcher that allows one call at a time.
fn dispatch(permits: usize) -> Arc<Dispatch<Slow>> {
    let clock = Clock::manual();
    let settings = UpstreamSettings {
        url: UpstreamUrl::parse("http://localhost").unwrap(),
        extra_roots: Vec::new(),
        connect_timeout: WHOLE,
        request_timeout: WHOLE,
        max_concurrency: 1,
        max_response_bytes: 1 << 20,
        max_inflight_bytes: 1 << 20,
        budget: Quota::new(1000, 1000).unwrap(),
        retries: RetrySettings { max: 0, budget_percent: 20 },
        breaker: BreakerSettings { failures: 5, open_for: WHOLE },
    };
    let slow = Slow {
        clock: clock.clone(),
        permits: Semaphore::new(permits),
        calls: AtomicUsize::new(0),
        bodies: BodyMemory::new(1 << 20, 1 << 20),
    };
    let key = Arc::new(PrivateKey::fixed(Secret::new("private_a=".to_owned())));
    Arc::new(Dispatch::new(slow, &settings, key, None, clock))
}

fn request(file: &str) -> FetchRequest {
    let (file, priority) = (FileId::parse(file).unwrap(), Priority::Authenticated);
    FetchRequest { file, priority, trace: None, began: Instant::now() }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_would_be_back_too_late_does_not_leave() {
    let dispatch = dispatch(1);
    dispatch.versions(&request("a")).await.unwrap();
    let first = tokio::spawn({
        let dispatch = Arc::clone(&dispatch);
        async move { dispatch.versions(&request("b")).await }
    });
    while dispatch.transport.calls.load(Ordering::Relaxed) < 2 {
        tokio::task::yield_now().await;
    }
    // The only call permit is taken for the whole time of a fill.
    let began = Instant::now();
    let error = dispatch.versions(&request("c")).await.unwrap_err();
    assert!(matches!(error, UpstreamError::QueueFull(_)), "{error}");
    assert_eq!(began.elapsed(), WHOLE.saturating_sub(LATENCY));
    assert!(matches!(first.await.unwrap(), Err(UpstreamError::Timeout { .. })));
    assert_eq!(dispatch.transport.calls.load(Ordering::Relaxed), 2, "the third was not sent");
}
