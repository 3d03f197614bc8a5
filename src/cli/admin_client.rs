//! HTTP client of the admin listener of a running gateway, and the options that name it.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::uri::Scheme;
use http::{HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use super::printable::printable;
use super::report::Failure;
use crate::admin::ErrorBody;
use crate::error_chain::chain;
use crate::secret::Secret;

/// Time limit for a whole exchange. It is longer than any of these requests should take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Limit of a response body, in bytes. The longest response is that of `/api/stats`: 180 points,
/// each with the throttled requests of up to 1,000 callers whose names have up to 64 bytes.
const RESPONSE_MAX: usize = 16 << 20;

/// URL of the admin listener: scheme `http`, without path and query.
#[derive(Clone, Debug)]
pub(super) struct AdminUrl(Uri);

impl AdminUrl {
    pub(super) const DEFAULT: &str = "http://127.0.0.1:9090";

    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        const EXPECTED: &str = "must be like http://127.0.0.1:9090";
        // The option --admin of `demo` takes an address alone.
        let with_scheme =
            if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let uri: Uri = with_scheme.parse().map_err(|_| EXPECTED)?;
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

/// Options of the commands that may need the admin token.
#[derive(Debug, clap::Args)]
pub(super) struct AdminOptions {
    /// URL of the admin listener.
    #[arg(long, value_name = "URL", default_value = AdminUrl::DEFAULT,
          value_parser = AdminUrl::parse)]
    admin: AdminUrl,
    /// File that holds the admin token, if the gateway has one.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

impl AdminOptions {
    pub(super) fn client(&self) -> Result<AdminClient, Failure> {
        let token = self.token_file.as_deref().map(Secret::from_file).transpose();
        let token = token.map_err(|error| Failure::Run(chain(&error)))?;
        Ok(AdminClient { url: self.admin.clone(), token })
    }
}

/// Client of one admin listener.
pub(super) struct AdminClient {
    url: AdminUrl,
    token: Option<Secret>,
}

/// Reason why there is no response, as a sentence.
#[derive(Debug)]
pub(super) struct NoAnswer(pub(super) String);

impl From<NoAnswer> for Failure {
    fn from(NoAnswer(reason): NoAnswer) -> Self {
        Self::Run(format!("{reason}. Is the gateway running? --admin names its admin listener."))
    }
}

impl AdminClient {
    /// Returns a client that sends no token.
    pub(super) fn without_token(url: AdminUrl) -> Self {
        Self { url, token: None }
    }

    /// Returns the URL of the admin listener, without a path.
    pub(super) fn url(&self) -> String {
        self.url.0.to_string().trim_end_matches('/').to_owned()
    }

    /// Sends one request and returns the status and the body of the response.
    pub(super) async fn send(
        &self,
        method: Method,
        path: &str,
    ) -> Result<(StatusCode, Bytes), NoAnswer> {
        let mut request = Request::new(Empty::<Bytes>::new());
        *request.method_mut() = method;
        *request.uri_mut() = self.url.join(path);
        if let Some(token) = &self.token {
            let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose()))
                .expect("secrets from files are visible ASCII");
            value.set_sensitive(true);
            request.headers_mut().insert(AUTHORIZATION, value);
        }
        let failed = |why: String| NoAnswer(format!("no answer from {}: {why}", self.url()));
        let response = tokio::time::timeout(TIMEOUT, async {
            let client: Client<HttpConnector, _> =
                Client::builder(TokioExecutor::new()).build_http();
            let response = client.request(request).await.map_err(|error| chain(&error))?;
            let status = response.status();
            let body = Limited::new(response.into_body(), RESPONSE_MAX).collect().await;
            Ok((status, body.map_err(|error| error.to_string())?.to_bytes()))
        });
        let response = response.await.unwrap_or_else(|_| {
            Err(format!("no complete response within {} s", TIMEOUT.as_secs()))
        });
        response.map_err(failed)
    }

    /// Returns why the gateway has refused a request, as a sentence.
    pub(super) fn refusal(&self, status: StatusCode, body: &[u8]) -> String {
        let url = self.url();
        let status = status.as_u16();
        match (status, &self.token) {
            (401, None) => {
                format!("{url} needs the admin token ({status}): --token-file names its file")
            }
            (401, Some(_)) => {
                format!(
                    "{url} refuses the admin token ({status}): --token-file must name the file of \
                     admin.token_file"
                )
            }
            (404, _) => {
                format!("{url} is not an admin listener of ikgate ({status}): --admin names it")
            }
            _ => match serde_json::from_slice::<ErrorBody<'_>>(body) {
                Ok(ErrorBody { message, help, .. }) => {
                    printable(&format!("{url} answered {status}: {message} {help}"))
                }
                Err(_) => format!("{url} answered {status}: is it the admin listener of ikgate?"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::telemetry::Point;

    #[test]
    fn the_longest_statistics_fit() {
        let throttled: BTreeMap<_, _> =
            (0..1_000_u64).map(|number| (format!("{number:064}"), 10_000_000)).collect();
        let point = Point { throttled, ..Point::default() };
        let bytes = serde_json::to_vec(&point).unwrap().len() * 180;
        assert!(bytes + (1 << 20) < RESPONSE_MAX, "{bytes}");
    }

    #[test]
    fn a_refusal_names_the_option_that_helps_and_injects_nothing() {
        let url = AdminUrl::parse("http://10.0.0.7:9090").unwrap();
        let mut client = AdminClient::without_token(url);
        let refused = client.refusal(StatusCode::UNAUTHORIZED, b"");
        assert_eq!(
            refused,
            "http://10.0.0.7:9090 needs the admin token (401): --token-file names its file"
        );
        client.token = Some(Secret::new("t0ken".to_owned()));
        let refused = client.refusal(StatusCode::UNAUTHORIZED, b"");
        assert!(refused.contains("refuses the admin token"), "{refused}");
        let body = br#"{"message":"No.\u001b[2J","help":"Go.","code":"forbidden"}"#;
        let refused = client.refusal(StatusCode::FORBIDDEN, body);
        assert_eq!(refused, "http://10.0.0.7:9090 answered 403: No.\\u{1b}[2J Go.");
    }
}
