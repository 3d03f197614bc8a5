//! Webhook sender of the sandbox: one event for each change, signed in both schemes of ImageKit.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::uri::Scheme;
use http::{HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::Serialize;
use tokio::sync::mpsc;

use super::library::RemovedVersion;
use super::object::VersionObject;
use super::uuid::uuid;
use crate::clock::Clock;
use crate::invalidation::{SigningSecret, signature};

/// Maximum number of events that wait to be sent. An event that finds the queue full is lost, as
/// webhooks can be in production.
const QUEUE_MAX: usize = 1024;
const ATTEMPTS: u32 = 3;
/// Pause before the second attempt; it is twice as long before the third.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(10);

type HttpClient = Client<HttpConnector, Full<Bytes>>;

/// Destination of events, and the secret that signs them.
#[derive(Clone, Debug)]
pub struct WebhookTarget {
    pub url: WebhookUrl,
    pub secret: SigningSecret,
}

/// URL of a webhook receiver, with the scheme `http`.
#[derive(Clone, Debug)]
pub struct WebhookUrl(Uri);

impl WebhookUrl {
    /// Parses an absolute `http` URL.
    ///
    /// # Errors
    ///
    /// Returns the expected form if `text` is not such a URL.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        const EXPECTED: &str = "must be like http://127.0.0.1:8080/webhooks/imagekit";
        let uri: Uri = text.parse().map_err(|_| EXPECTED)?;
        let http = uri.scheme() == Some(&Scheme::HTTP) && uri.authority().is_some();
        if http { Ok(Self(uri)) } else { Err(EXPECTED) }
    }
}

/// Change of a file that is reported as an event.
#[derive(Debug)]
pub(super) enum FileChange {
    /// A file was created, or a version was added to an existing file.
    Created { object: Box<VersionObject>, first: bool },
    /// A version was removed, and with the last version the file.
    Deleted { file: String, removed: RemovedVersion },
}

/// Queue of events that wait to be sent.
pub(super) struct WebhookQueue(mpsc::Sender<(SystemTime, FileChange)>);

#[derive(Serialize)]
struct Event<'a, T> {
    id: String,
    #[serde(rename = "type")]
    kind: &'a str,
    created_at: String,
    data: T,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Deleted<'a> {
    file_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    version_id: Option<&'a str>,
}

impl WebhookQueue {
    /// Starts a task that sends the queued events in order. Must be called within a Tokio runtime.
    pub(super) fn open(target: WebhookTarget, clock: Clock) -> Self {
        let (sender, mut events) = mpsc::channel::<(SystemTime, FileChange)>(QUEUE_MAX);
        tokio::spawn(async move {
            let client = Client::builder(TokioExecutor::new()).build_http();
            while let Some((now, change)) = events.recv().await {
                let (id, body) = event(now, &change);
                deliver(&client, &target, &clock, &id, &body).await;
            }
        });
        Self(sender)
    }

    pub(super) fn enqueue(&self, now: SystemTime, change: FileChange) {
        if self.0.try_send((now, change)).is_err() {
            tracing::warn!("the webhook queue is full: this event is lost");
        }
    }
}

/// Returns the id and the body of one event.
fn event(now: SystemTime, change: &FileChange) -> (String, Bytes) {
    let id = format!("evt_{}", uuid());
    let created_at = humantime::format_rfc3339_millis(now).to_string();
    let body = match change {
        FileChange::Created { object, first } => {
            let kind = if *first { "file.created" } else { "file-version.created" };
            serde_json::to_vec(&Event { id: id.clone(), kind, created_at, data: object })
        }
        FileChange::Deleted { file, removed } => {
            let (kind, version_id) = match removed.versions_left {
                0 => ("file.deleted", None),
                _ => ("file-version.deleted", Some(removed.version_id.as_str())),
            };
            let data = Deleted { file_id: file, version_id };
            serde_json::to_vec(&Event { id: id.clone(), kind, created_at, data })
        }
    };
    (id, Bytes::from(body.expect("our own structs always serialise")))
}

async fn deliver(
    client: &HttpClient,
    target: &WebhookTarget,
    clock: &Clock,
    id: &str,
    body: &Bytes,
) {
    let url = &target.url.0;
    for attempt in 1..=ATTEMPTS {
        // Each attempt gets a new signature, because the first timestamp may be too old by then.
        let call = client.request(request(target, clock.wall(), id, body));
        let error = match tokio::time::timeout(RESPONSE_TIMEOUT, call).await {
            Ok(Ok(response)) if response.status().is_success() => {
                tracing::info!(id, %url, status = response.status().as_u16(), "webhook delivered");
                return;
            }
            Ok(Ok(response)) => refusal_text(response.status()).to_owned(),
            Ok(Err(error)) => crate::error_chain::chain(&error),
            Err(_) => "no answer in time".to_owned(),
        };
        tracing::warn!(id, %url, attempt, error, "webhook not delivered");
        if attempt < ATTEMPTS {
            tokio::time::sleep(RETRY_PAUSE * attempt).await;
        }
    }
}

fn refusal_text(status: StatusCode) -> &'static str {
    match status {
        StatusCode::UNAUTHORIZED => "refused with 401: do both sides have the same secret?",
        StatusCode::NOT_FOUND => "refused with 404: is [webhooks] configured there?",
        _ => status.canonical_reason().unwrap_or("refused"),
    }
}

fn request(
    target: &WebhookTarget,
    now: SystemTime,
    id: &str,
    body: &Bytes,
) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::new(body.clone()));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = target.url.0.clone();
    let (timestamp, standard) = target.secret.sign_standard(id, now, body);
    let fields = request.headers_mut();
    fields.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    for (name, value) in [
        (signature::LEGACY, target.secret.sign_legacy(now, body)),
        (signature::STANDARD_ID, id.to_owned()),
        (signature::STANDARD_TIMESTAMP, timestamp),
        (signature::STANDARD, standard),
    ] {
        let value = HeaderValue::from_str(&value).expect("digits, hex and base64");
        fields.insert(name, value);
    }
    request
}

#[cfg(test)]
mod tests {
    use super::super::library::Library;
    use super::*;
    use crate::invalidation::WebhookEvent;

    fn kind_and_files(change: &FileChange) -> (String, usize) {
        let (_, body) = event(SystemTime::UNIX_EPOCH, change);
        let shown: serde_json::Value = serde_json::from_slice(&body).unwrap();
        let WebhookEvent::Changed { files, .. } = WebhookEvent::parse(&body).unwrap() else {
            panic!("{shown}")
        };
        (shown["type"].as_str().unwrap().to_owned(), files.len())
    }

    #[test]
    fn each_change_has_its_event_and_names_its_file_and_version() {
        let mut library = Library::seeded();
        let add = |library: &mut Library| {
            let (object, first) = library.add_version("new", SystemTime::UNIX_EPOCH).unwrap();
            kind_and_files(&FileChange::Created { object: Box::new(object), first })
        };
        assert_eq!(add(&mut library), ("file.created".to_owned(), 2));
        assert_eq!(add(&mut library), ("file-version.created".to_owned(), 2));
        let remove = |library: &mut Library| {
            let removed = library.remove_version("new").unwrap();
            kind_and_files(&FileChange::Deleted { file: "new".to_owned(), removed })
        };
        assert_eq!(remove(&mut library), ("file-version.deleted".to_owned(), 2));
        assert_eq!(remove(&mut library), ("file.deleted".to_owned(), 1));
    }

    #[test]
    fn a_webhooks_url_is_plain_http() {
        assert!(WebhookUrl::parse("http://127.0.0.1:8080/webhooks/imagekit").is_ok());
        for text in ["https://a/b", "/webhooks", "a:80", "", "ftp://a/"] {
            assert!(WebhookUrl::parse(text).is_err(), "{text}");
        }
    }
}
