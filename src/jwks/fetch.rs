//! HTTP client for key sets: one request, a bounded response.
//!
//! Redirects are not followed and proxy variables are not read: keys come from the configured URL
//! or not at all. Each fetch opens a connection of its own, since fetches are at least 10 s
//! apart.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_ENCODING, USER_AGENT};
use http::{HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt as _, Empty, LengthLimitError, Limited};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{self, Client};
use hyper_util::rt::TokioExecutor;
use rustls::ClientConfig;

use super::lifetime::lifetime;
use crate::caller::{InvalidKeySet, KEY_SET_BYTES_MAX, KeyProvider, KeySet, ParsedKeySet};

/// Time limit of a fetch, from the connection to the last byte.
const TIMEOUT: Duration = Duration::from_secs(10);

const AGENT: HeaderValue = HeaderValue::from_static(concat!("ikgate/", env!("CARGO_PKG_VERSION")));
const MEDIA_TYPES: HeaderValue =
    HeaderValue::from_static("application/jwk-set+json, application/json");

/// Key set of a provider's response.
pub(super) struct FetchedSet {
    pub(super) parsed: ParsedKeySet,
    pub(super) lifetime: Duration,
}

/// Reason why no key set was fetched.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error("no trusted root certificates were found (on Debian: package ca-certificates)")]
    NoRoots,
    #[error("the TLS client cannot be set up")]
    Tls(#[from] rustls::Error),
    #[error("no complete response within {} s", TIMEOUT.as_secs())]
    Timeout,
    #[error("the request failed")]
    Unreachable(#[from] legacy::Error),
    #[error("the response has status {0}; redirects are not followed")]
    Status(StatusCode),
    #[error("the response has a content coding")]
    Coding,
    #[error("the response ended early")]
    Body(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error(transparent)]
    Invalid(#[from] InvalidKeySet),
}

/// Fetches the key set of a provider.
pub(super) async fn fetch(provider: &KeyProvider) -> Result<FetchedSet, FetchError> {
    let fetched = tokio::time::timeout(TIMEOUT, exchange(provider)).await;
    fetched.unwrap_or(Err(FetchError::Timeout))
}

async fn exchange(provider: &KeyProvider) -> Result<FetchedSet, FetchError> {
    let tls = tls(provider.url.is_tls()).await?;
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    let connector = hyper_rustls::HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_all_versions()
        .wrap_connector(tcp);
    let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector);
    let mut request = Request::new(Empty::<Bytes>::new());
    *request.uri_mut() = provider.url.uri().clone();
    request.headers_mut().insert(ACCEPT, MEDIA_TYPES);
    request.headers_mut().insert(USER_AGENT, AGENT);
    let (head, body) = client.request(request).await?.into_parts();
    if head.status != StatusCode::OK {
        return Err(FetchError::Status(head.status));
    }
    if head.headers.contains_key(CONTENT_ENCODING) {
        return Err(FetchError::Coding);
    }
    let body = Limited::new(body, KEY_SET_BYTES_MAX).collect().await.map_err(unread)?;
    let parsed = KeySet::parse(&body.to_bytes(), &provider.algorithms)?;
    Ok(FetchedSet { parsed, lifetime: lifetime(&head.headers) })
}

fn unread(error: Box<dyn std::error::Error + Send + Sync>) -> FetchError {
    if error.is::<LengthLimitError>() {
        FetchError::Invalid(InvalidKeySet::TooLong)
    } else {
        FetchError::Body(error)
    }
}

/// Returns the TLS settings, with the platform's roots if they are needed.
async fn tls(is_needed: bool) -> Result<ClientConfig, FetchError> {
    let roots = if is_needed {
        // On a blocking thread: it reads files.
        tokio::task::spawn_blocking(roots).await.map_err(|_| FetchError::NoRoots)?
    } else {
        rustls::RootCertStore::empty()
    };
    if is_needed && roots.is_empty() {
        return Err(FetchError::NoRoots);
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

fn roots() -> rustls::RootCertStore {
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}
