//! Sandbox: a local stand-in for the part of ImageKit's Media API that the gateway uses.
//!
//! It serves demos, frontend developers and tests. It needs no account and no real key. It answers
//! like the real API, errors and rate-limit fields included. Undocumented behaviour of the real API
//! is not invented here. Files live in memory and are the same at every start; versions are added
//! and removed under `/_sandbox`.

mod library;
mod object;
mod rate;
mod webhook;

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use bytes::Bytes;
use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, AUTHORIZATION, ETAG, HeaderName};
use http::request::Parts;
use http::{HeaderValue, Method, Request, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use parking_lot::Mutex;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use library::{AddError, Library};
use rate::RateWindow;
use webhook::{Happened, Outbox};
pub use webhook::{WebhookTarget, WebhookUrl};

use crate::clock::Clock;
use crate::secret::Secret;
use crate::server::{Reply, Service, ServiceResponse, reply};

/// Private key that the sandbox accepts by default.
pub const DEFAULT_KEY: &str = "private_sandbox=";
/// Default limit in requests per second: the limit that is stated for reads at ImageKit.
pub const DEFAULT_RATE: NonZeroU32 = NonZeroU32::new(100).expect("not zero");

/// Id of an image that exists at the start of the sandbox, with three versions.
pub const IMAGE_WITH_VERSIONS: &str = "64a1b2c3d4e5f60718293a4b";

const ANY_ORIGIN: HeaderValue = HeaderValue::from_static("*");

const HELP: &str = "For support kindly contact us at support@imagekit.io.";

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
    outbox: OnceLock<Outbox>,
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
    async fn reply(&self, head: &Parts) -> Reply {
        if let Some(path) = head.uri.path().strip_prefix("/_sandbox/") {
            let mut reply = self.control(&head.method, path);
            reply.headers_mut().insert(ACCESS_CONTROL_ALLOW_ORIGIN, ANY_ORIGIN);
            return reply;
        }
        if !self.settings.latency.is_zero() {
            tokio::time::sleep(self.settings.latency).await;
        }
        let (spent, rate) = self.rate.lock().spend(self.clock.monotonic());
        let mut reply = if spent { self.api(head) } else { too_many() };
        rate.write(reply.headers_mut());
        let id = HeaderValue::from_str(&uuid()).expect("hex and hyphens");
        for name in ["x-ik-requestid", "x-request-id"] {
            reply.headers_mut().insert(HeaderName::from_static(name), id.clone());
        }
        reply.headers_mut().insert(ACCESS_CONTROL_ALLOW_ORIGIN, ANY_ORIGIN);
        reply
    }

    pub fn new(settings: SandboxSettings, clock: Clock) -> Self {
        let rate = Mutex::new(RateWindow::new(settings.rate));
        let (library, outbox) = (Mutex::new(Library::seeded()), OnceLock::new());
        Self { settings, library, rate, outbox, clock }
    }

    /// Sends an event to `target` for each change from now on. Must be called within a Tokio
    /// runtime. The first call decides the target; later calls have no effect.
    pub fn deliver_to(&self, target: WebhookTarget) {
        self.outbox.get_or_init(|| Outbox::open(target, self.clock.clone()));
    }

    fn happened(&self, happened: Happened) {
        if let Some(outbox) = self.outbox.get() {
            outbox.put(self.clock.wall(), happened);
        }
    }

    fn api(&self, head: &Parts) -> Reply {
        if let Err(reply) = self.authenticate(head) {
            return *reply;
        }
        let segments: Vec<&str> = head.uri.path().split('/').skip(1).collect();
        let reading = matches!(head.method, Method::GET | Method::HEAD);
        match segments.as_slice() {
            ["v1", "files", file, "versions"] if reading => self.versions(file),
            ["v1", "files", file, "versions", version] if reading => self.version(file, version),
            _ => error(StatusCode::NOT_FOUND, "The sandbox only answers reads of versions."),
        }
    }

    /// Checks Basic authentication with the key as user name; the password does not matter. As at
    /// ImageKit, a missing key gives 401 and a wrong key 403.
    fn authenticate(&self, head: &Parts) -> Result<(), Box<Reply>> {
        let refused = |status, message| Err(Box::new(error(status, message)));
        let Some(value) = head.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok())
        else {
            let message = "Your request does not contain private API key.";
            return refused(StatusCode::UNAUTHORIZED, message);
        };
        let pair = value
            .strip_prefix("Basic ")
            .and_then(|pair| BASE64_STANDARD.decode(pair.trim()).ok())
            .and_then(|pair| String::from_utf8(pair).ok());
        let key = pair.as_deref().and_then(|pair| pair.split_once(':')).map(|(key, _)| key);
        if key == Some(self.settings.key.expose()) {
            Ok(())
        } else {
            refused(StatusCode::FORBIDDEN, "Your account cannot be authenticated.")
        }
    }

    fn versions(&self, file: &str) -> Reply {
        if !library::is_id(file) {
            let message = "Your request contains invalid fileId parameter.";
            return error(StatusCode::BAD_REQUEST, message);
        }
        match self.library.lock().versions(file) {
            Some(versions) => tagged(&versions),
            None => error(StatusCode::NOT_FOUND, "The requested file does not exist."),
        }
    }

    fn version(&self, file: &str, version: &str) -> Reply {
        for (id, message) in [
            (file, "Your request contains invalid fileId parameter."),
            (version, "Your request contains invalid versionId parameter."),
        ] {
            if !library::is_id(id) {
                return error(StatusCode::BAD_REQUEST, message);
            }
        }
        let Some(versions) = self.library.lock().versions(file) else {
            return error(StatusCode::NOT_FOUND, "The requested asset does not exist.");
        };
        match versions.iter().find(|object| object.version_info.id == version) {
            Some(object) => tagged(object),
            None => error(StatusCode::NOT_FOUND, "The requested file version does not exist."),
        }
    }

    /// Answers the control API under `/_sandbox`, which lists and changes files. ImageKit has no
    /// such API.
    fn control(&self, method: &Method, path: &str) -> Reply {
        let segments: Vec<&str> = path.split('/').collect();
        match (method, segments.as_slice()) {
            (&Method::GET, ["files"]) => json(StatusCode::OK, &self.library.lock().summary()),
            (&Method::POST, ["files", file, "versions"]) => {
                let added = self.library.lock().add_version(file, self.clock.wall());
                match added {
                    Ok((version, first)) => {
                        let reply = json(StatusCode::CREATED, &version);
                        self.happened(Happened::Created { object: Box::new(version), first });
                        reply
                    }
                    Err(AddError::Id) => {
                        let message = "Your request contains invalid fileId parameter.";
                        own_error(StatusCode::BAD_REQUEST, message)
                    }
                    Err(AddError::Full(what)) => own_error(StatusCode::CONFLICT, what),
                }
            }
            (&Method::DELETE, ["files", file, "versions"]) => {
                let removed = self.library.lock().remove_version(file);
                match removed {
                    Some(removed) => {
                        let reply = json(StatusCode::OK, &removed);
                        let file = (*file).to_owned();
                        self.happened(Happened::Deleted { file, removed });
                        reply
                    }
                    None => own_error(StatusCode::NOT_FOUND, "The requested file does not exist."),
                }
            }
            _ => own_error(
                StatusCode::NOT_FOUND,
                "Use GET /_sandbox/files, or POST or DELETE /_sandbox/files/{fileId}/versions.",
            ),
        }
    }
}

/// Returns a 429. By ImageKit's schema, its body has a message and no help.
fn too_many() -> Reply {
    #[derive(Serialize)]
    struct Body {
        message: &'static str,
    }
    let message = "Your account has exceeded its rate limit.";
    json(StatusCode::TOO_MANY_REQUESTS, &Body { message })
}

fn error(status: StatusCode, message: &str) -> Reply {
    problem(status, message, HELP)
}

/// Returns an error of the sandbox's own control API, which ImageKit does not have.
fn own_error(status: StatusCode, message: &str) -> Reply {
    problem(status, message, "Under /_sandbox/ the sandbox speaks for itself.")
}

fn problem(status: StatusCode, message: &str, help: &str) -> Reply {
    #[derive(Serialize)]
    struct Body<'a> {
        message: &'a str,
        help: &'a str,
    }
    json(status, &Body { message, help })
}

/// Returns a 200 with a weak entity tag in the form that Express makes: the length in hex and a
/// part of a digest.
fn tagged(body: &impl Serialize) -> Reply {
    let mut reply = json(StatusCode::OK, body);
    let bytes = serde_json::to_vec(body).expect("our own structs always serialise");
    let digest = BASE64_STANDARD.encode(Sha256::digest(&bytes));
    let tag = format!("W/\"{:x}-{}\"", bytes.len(), digest.get(..27).unwrap_or_default());
    reply.headers_mut().insert(ETAG, HeaderValue::from_str(&tag).expect("hex and base64"));
    reply
}

fn json(status: StatusCode, body: &impl Serialize) -> Reply {
    let body = serde_json::to_vec(body).expect("our own structs always serialise");
    reply(status, "application/json; charset=utf-8", body)
}

/// Returns a random UUID (version 4).
fn uuid() -> String {
    let [a, b, c, d] = [(); 4].map(|()| fastrand::u32(..));
    let (b_high, b_low) = (b >> 16, (b & 0x0fff) | 0x4000);
    let (c_high, c_low) = ((c >> 16 & 0x3fff) | 0x8000, c & 0xffff);
    format!("{a:08x}-{b_high:04x}-{b_low:04x}-{c_high:04x}-{c_low:04x}{d:08x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sandbox(rate: u32) -> (Sandbox, Clock) {
        let clock = Clock::manual();
        let settings = SandboxSettings {
            key: Secret::new("private_k=".to_owned()),
            rate: NonZeroU32::new(rate).unwrap(),
            latency: Duration::ZERO,
        };
        (Sandbox::new(settings, clock.clone()), clock)
    }

    fn get(sandbox: &Sandbox, path: &str, pair: Option<&str>) -> Reply {
        let mut request = Request::get(path);
        if let Some(pair) = pair {
            let value = format!("Basic {}", BASE64_STANDARD.encode(pair));
            request = request.header(AUTHORIZATION, value);
        }
        sandbox.api(&request.body(()).unwrap().into_parts().0)
    }

    #[test]
    fn a_missing_key_is_401_a_wrong_one_403_and_the_password_does_not_matter() {
        let (sandbox, _clock) = sandbox(1);
        let path = format!("/v1/files/{IMAGE_WITH_VERSIONS}/versions");
        let status = |pair| get(&sandbox, &path, pair).status().as_u16();
        assert_eq!(status(None), 401);
        assert_eq!(status(Some("private_k:")), 403);
        assert_eq!(status(Some("private_k=")), 403, "no colon");
        assert_eq!(status(Some("private_k=:")), 200);
        assert_eq!(status(Some("private_k=:do_not_set")), 200);
    }

    #[test]
    fn ids_are_refused_and_missed_as_documented() {
        let (sandbox, _clock) = sandbox(1);
        let status = |path: &str| get(&sandbox, path, Some("private_k=:")).status().as_u16();
        assert_eq!(status("/v1/files/a%20b/versions"), 400);
        assert_eq!(status("/v1/files/000000000000000000000000/versions"), 404);
        assert_eq!(status(&format!("/v1/files/{IMAGE_WITH_VERSIONS}/versions/none")), 404);
        assert_eq!(status("/v1/files"), 404);
    }

    #[test]
    fn a_uuid_has_its_version_and_variant() {
        for _ in 0..100 {
            let uuid = uuid();
            assert_eq!(uuid.len(), 36, "{uuid}");
            assert_eq!(uuid.as_bytes()[14], b'4', "{uuid}");
            assert!(b"89ab".contains(&uuid.as_bytes()[19]), "{uuid}");
        }
    }
}
