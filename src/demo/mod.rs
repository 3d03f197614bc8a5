//! Web server of the demo page, which shows the version history of a file from another origin.
//!
//! `ikgate demo` runs it as an example for frontend developers. The page and its fetch helper are
//! plain JavaScript modules, embedded from `page/` and `helper/`.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Method, Request, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use serde::Serialize;

use crate::server::{Reply, Service, ServiceResponse, reply};

const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Addresses of the servers that the page uses, and its first file.
#[derive(Clone, Debug)]
pub struct DemoAddresses {
    pub gateway: SocketAddr,
    /// Path before the gateway's operations; empty, or `/` and more.
    pub base_path: String,
    pub admin: SocketAddr,
    pub sandbox: SocketAddr,
    /// Id of the file that the page shows first.
    pub file: &'static str,
}

/// Service that answers with the files of the demo page.
pub struct DemoPage {
    settings: Bytes,
    policy: HeaderValue,
}

impl DemoPage {
    pub fn new(addresses: &DemoAddresses) -> Self {
        #[derive(Serialize)]
        struct Settings {
            gateway: String,
            sandbox: String,
            dashboard: String,
            file: &'static str,
        }
        let DemoAddresses { gateway, base_path, admin, sandbox, file } = addresses;
        let settings = Settings {
            gateway: format!("http://{gateway}{base_path}"),
            sandbox: format!("http://{sandbox}"),
            dashboard: format!("http://{admin}/"),
            file,
        };
        // Own resources only, no inline code, no framing. Fetches may also go to the gateway and
        // the sandbox.
        let policy = format!(
            "default-src 'none'; script-src 'self'; style-src 'self'; \
             connect-src 'self' {} {}; img-src data: blob:; base-uri 'none'; \
             form-action 'none'; frame-ancestors 'none'",
            format_args!("http://{gateway}"),
            settings.sandbox
        );
        Self {
            settings: serde_json::to_vec(&settings).expect("our own structs serialise").into(),
            policy: HeaderValue::try_from(policy).expect("addresses are ASCII"),
        }
    }

    fn answer(&self, method: &Method, path: &str) -> Reply {
        if !matches!(*method, Method::GET | Method::HEAD) {
            let mut reply = reply(StatusCode::METHOD_NOT_ALLOWED, "text/plain", Bytes::new());
            reply.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return reply;
        }
        let (content_type, body): (_, &[u8]) = match path {
            "/" => ("text/html; charset=utf-8", include_bytes!("page/index.html")),
            "/page.css" => ("text/css; charset=utf-8", include_bytes!("page/page.css")),
            "/page.js" => (SCRIPT, include_bytes!("page/page.js")),
            "/ikgate.js" => (SCRIPT, include_bytes!("helper/ikgate.js")),
            "/settings.json" => {
                return reply(StatusCode::OK, "application/json", self.settings.clone());
            }
            _ => return reply(StatusCode::NOT_FOUND, "text/plain", Bytes::new()),
        };
        reply(StatusCode::OK, content_type, Bytes::from_static(body))
    }
}

impl Service for DemoPage {
    type Data = Bytes;
    type Body = Full<Bytes>;
    type Begun = ();

    fn call(
        self: &Arc<Self>,
        request: Request<Incoming>,
        _peer: SocketAddr,
        _begun: Option<()>,
    ) -> ServiceResponse<Full<Bytes>> {
        let mut reply = self.answer(request.method(), request.uri().path());
        let fields = reply.headers_mut();
        fields.insert(CONTENT_SECURITY_POLICY, self.policy.clone());
        fields.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        // Browsers must not store the page, so that a changed page shows after the next start.
        fields.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        ServiceResponse::Ready(reply)
    }
}
