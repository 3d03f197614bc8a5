//! Service of the sandbox: API and control API behind one listener, with rate limit and latency.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, HeaderName};
use http::request::Parts;
use http::{HeaderValue, Request};
use http_body_util::Full;
use hyper::body::Incoming;
use parking_lot::Mutex;

use super::library::Library;
use super::rate::RateWindow;
use super::replies::too_many_requests;
use super::uuid::uuid;
use super::webhook::{WebhookQueue, WebhookTarget};
use super::{api, control};
use crate::clock::Clock;
use crate::secret::Secret;
use crate::server::{Reply, Service, ServiceResponse};

/// Private key that the sandbox accepts by default.
pub const DEFAULT_KEY: &str = "private_sandbox=";
/// Default limit in requests per second: the limit that is stated for reads at ImageKit.
pub const DEFAULT_RATE: NonZeroU32 = NonZeroU32::new(100).expect("not zero");

const ANY_ORIGIN: HeaderValue = HeaderValue::from_static("*");

/// Settings of the sandbox.
#[derive(Clone, Debug)]
pub struct SandboxSettings {
    pub key: Secret,
    pub rate: NonZeroU32,
    /// Delay before each answer of the API.
    pub latency: Duration,
}

/// Service that answers like ImageKit's Media API.
pub struct Sandbox {
    settings: SandboxSettings,
    library: Mutex<Library>,
    rate: Mutex<RateWindow>,
    webhooks: OnceLock<WebhookQueue>,
    clock: Clock,
}

impl Service for Sandbox {
    type Data = Bytes;
    type Body = Full<Bytes>;
    type Begun = ();

    fn call(
        self: &Arc<Self>,
        request: Request<Incoming>,
        _peer: SocketAddr,
        _begun: Option<()>,
    ) -> ServiceResponse<Full<Bytes>> {
        let (head, _body) = request.into_parts();
        let sandbox = Arc::clone(self);
        ServiceResponse::Pending(Box::pin(async move { sandbox.reply(&head).await }))
    }
}

impl Sandbox {
    pub fn new(settings: SandboxSettings, clock: Clock) -> Self {
        let rate = Mutex::new(RateWindow::new(settings.rate));
        let (library, webhooks) = (Mutex::new(Library::seeded()), OnceLock::new());
        Self { settings, library, rate, webhooks, clock }
    }

    async fn reply(&self, head: &Parts) -> Reply {
        if let Some(path) = head.uri.path().strip_prefix("/_sandbox/") {
            let now = self.clock.wall();
            let (mut reply, change) = control::answer(&head.method, path, &self.library, now);
            if let (Some(change), Some(webhooks)) = (change, self.webhooks.get()) {
                webhooks.enqueue(now, change);
            }
            reply.headers_mut().insert(ACCESS_CONTROL_ALLOW_ORIGIN, ANY_ORIGIN);
            return reply;
        }
        if !self.settings.latency.is_zero() {
            tokio::time::sleep(self.settings.latency).await;
        }
        let (spent, rate) = self.rate.lock().spend(self.clock.monotonic());
        let mut reply = if spent {
            api::answer(head, &self.settings.key, &self.library)
        } else {
            too_many_requests()
        };
        rate.write(reply.headers_mut());
        let id = HeaderValue::from_str(&uuid()).expect("hex and hyphens");
        for name in ["x-ik-requestid", "x-request-id"] {
            reply.headers_mut().insert(HeaderName::from_static(name), id.clone());
        }
        reply.headers_mut().insert(ACCESS_CONTROL_ALLOW_ORIGIN, ANY_ORIGIN);
        reply
    }

    /// Sends an event to `target` for each change from now on. Must be called within a Tokio
    /// runtime. The first call decides the target; later calls have no effect.
    pub fn deliver_to(&self, target: WebhookTarget) {
        self.webhooks.get_or_init(|| WebhookQueue::open(target, self.clock.clone()));
    }
}
