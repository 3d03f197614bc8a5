//! HTTP client of the admin listener of a running gateway, for `purge` and `healthcheck`.

use std::time::Duration;

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::uri::Scheme;
use http::{HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use super::failure::Failure;
use crate::error::chain;
use crate::secret::Secret;

/// Time limit for a whole exchange. It is longer than any of these requests should take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Limit of a response body, in bytes. The longest response is shorter.
const ANSWER_MAX: usize = 64 * 1024;

/// URL of the admin listener: scheme `http`, without path and query.
#[derive(Clone, Debug)]
pub(super) struct AdminUrl(Uri);

impl AdminUrl {
    pub(super) const DEFAULT: &str = "http://127.0.0.1:9090";

    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        const EXPECTED: &str = "must be like http://127.0.0.1:9090";
        let uri: Uri = text.parse().map_err(|_| EXPECTED)?;
        if uri.scheme() == Some(&Scheme::HTTP) && uri.path() == "/" && uri.query().is_none() {
            Ok(Self(uri))
        } else {
            Err(EXPECTED)
        }
    }

    fn join(&self, path: &str) -> Uri {
        let mut parts = self.0.clone().into_parts();
        parts.path_and_query = path.parse().ok();
        Uri::from_parts(parts).expect("paths of operations are valid")
    }
}

/// Sends one request and returns the status and the body of the response.
pub(super) async fn send(
    method: Method,
    url: &AdminUrl,
    path: &str,
    token: Option<&Secret>,
) -> Result<(StatusCode, Bytes), Failure> {
    let mut request = Request::new(Empty::<Bytes>::new());
    *request.method_mut() = method;
    *request.uri_mut() = url.join(path);
    if let Some(token) = token {
        let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose()))
            .expect("secrets from files are visible ASCII");
        value.set_sensitive(true);
        request.headers_mut().insert(AUTHORIZATION, value);
    }
    let failed = |why: String| Failure::Run(format!("no answer from {}: {why}", url.0));
    let answered = tokio::time::timeout(TIMEOUT, async {
        let client: Client<HttpConnector, _> = Client::builder(TokioExecutor::new()).build_http();
        let response = client.request(request).await.map_err(|error| chain(&error))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), ANSWER_MAX).collect().await;
        Ok((status, body.map_err(|error| error.to_string())?.to_bytes()))
    });
    answered.await.unwrap_or_else(|_| Err("no response in time".to_owned())).map_err(failed)
}
