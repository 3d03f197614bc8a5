//! Tests over all errors: each has the shape that ImageKit's SDKs need, and sends its caller to the
//! operator of the gateway, who can help, and not to ImageKit's support, which cannot.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Empty;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

use super::{ErrorCode, GatewayError, bad_request, not_found, version_not_found};
use crate::caller::{AuthFailure, FileForbidden};
use crate::invalidation::{PartialPurge, SignatureFault};
use crate::limit::{Limit, Quota, Throttled};
use crate::message::HeadFault;
use crate::response::{Problem, Retry};
use crate::route::RouteFault;
use crate::upstream::{BadAnswer, RateFields, Refusal, UpstreamError};

/// Words that the help of every error has.
const OPERATOR: &str = "operator of this gateway";

/// Returns an error of each kind that a call upstream can end with.
async fn upstream_errors() -> Vec<UpstreamError> {
    let refusal = Refusal { wait: Duration::ZERO, burst: 1, refill: Duration::from_secs(1) };
    let wait = Duration::from_secs(1);
    // A client refuses a URL without a host before it connects.
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let source = client.request(Request::new(Empty::new())).await.unwrap_err();
    vec![
        UpstreamError::Auth { status: Some(StatusCode::UNAUTHORIZED) },
        UpstreamError::Bad(BadAnswer::NotAnArray),
        UpstreamError::BreakerOpen(refusal),
        UpstreamError::Busy { wait, fields: RateFields::default() },
        UpstreamError::QueueFull(refusal),
        UpstreamError::Spent(refusal),
        UpstreamError::Timeout { after: wait },
        UpstreamError::Unreachable { source, reused: false },
    ]
}

/// Returns all errors. A code that none of them has fails the test.
async fn errors() -> Vec<GatewayError> {
    let quota = Quota::new(1, 1).unwrap();
    let throttled = Throttled { limit: Limit::Address, quota, wait: Duration::from_secs(1) };
    let heads = [
        HeadFault::AsteriskForm,
        HeadFault::AuthorityForm,
        HeadFault::BodyTooLarge,
        HeadFault::FieldPadded,
        HeadFault::HostInvalid,
        HeadFault::HostMismatch,
        HeadFault::HostMissing,
        HeadFault::HostRepeated,
        HeadFault::Malformed,
        HeadFault::NotAscii,
        HeadFault::TimedOut,
        HeadFault::TooLong,
        HeadFault::TransferEncoding,
    ];
    let routes = [
        RouteFault::BadId,
        RouteFault::BadVersionId,
        RouteFault::HelpMethod,
        RouteFault::Method,
        RouteFault::NoRoute,
        RouteFault::Query,
        RouteFault::TrailingSlash,
        RouteFault::WebhookMethod,
    ];
    let signatures = [
        SignatureFault::Incorrect,
        SignatureFault::Malformed,
        SignatureFault::Missing,
        SignatureFault::OutOfTolerance,
    ];
    let others = [
        GatewayError::BodyBroken,
        GatewayError::BodyTimeout,
        GatewayError::Forbidden(FileForbidden),
        GatewayError::Internal,
        GatewayError::PurgePartial(PartialPurge),
        GatewayError::ShuttingDown,
        GatewayError::Throttled(throttled),
        GatewayError::UpstreamTimeout,
        GatewayError::WebhooksBusy,
    ];
    let upstream = upstream_errors().await.into_iter().map(|error| Arc::new(error).into());
    let auth = AuthFailure::ALL.into_iter().map(GatewayError::from);
    auth.chain(heads.map(GatewayError::from))
        .chain(routes.map(GatewayError::from))
        .chain(signatures.map(GatewayError::from))
        .chain(others)
        .chain(upstream)
        .collect()
}

/// Returns the help of a credential that failed.
fn help_of(failure: AuthFailure) -> String {
    help_in(&GatewayError::from(failure).problem())
}

fn help_in(problem: &Problem) -> String {
    let body: serde_json::Value = serde_json::from_slice(&problem.body()).unwrap();
    body["help"].as_str().unwrap().to_owned()
}

#[test]
fn a_token_without_jwt_is_not_told_to_become_a_caller_key() {
    let help = help_of(AuthFailure::TokensOff);
    assert!(help.contains("to configure [jwt], or send the request without a token"), "{help}");
    assert!(help.contains("A page must not hold a caller key."), "{help}");
    assert!(!help.contains("KEY"), "{help}");
}

#[test]
fn a_credential_that_is_no_key_and_no_token_is_told_what_a_page_sends() {
    let failures = [
        AuthFailure::Duplicate,
        AuthFailure::Malformed,
        AuthFailure::Missing,
        AuthFailure::NoCallers,
        AuthFailure::UnknownKey,
    ];
    for help in failures.map(help_of) {
        assert!(help.contains("A page sends 'Authorization: Bearer TOKEN'"), "{help}");
    }
}

#[test]
fn a_404_of_the_gateway_says_what_a_private_file_needs() {
    let help = help_in(&not_found());
    assert!(help.contains("a token that names it in 'files', or a caller key"), "{help}");
}

#[tokio::test]
async fn every_code_has_message_help_and_code_and_its_help_names_the_operator_of_the_gateway() {
    let problems = errors().await.iter().map(GatewayError::problem).collect::<Vec<_>>();
    let own = [bad_request(), not_found(), version_not_found()];
    let mut seen = BTreeSet::new();
    for problem in problems.iter().chain(&own) {
        let body: serde_json::Value = serde_json::from_slice(&problem.body()).unwrap();
        let Problem { status, code, .. } = *problem;
        let text = |key: &str| body[key].as_str().unwrap().to_owned();
        assert_eq!(text("code"), code);
        assert!(text("message").ends_with('.') && text("message").len() > 10, "{body}");
        assert!(text("help").contains(OPERATOR), "{body}");
        let both = text("message") + &text("help");
        for foreign in ["support", "imagekit.io"] {
            assert!(!both.to_lowercase().contains(foreign), "{body}");
        }
        seen.insert((code, status.as_u16()));
    }
    let public = ErrorCode::ALL.iter().filter(|code| code.is_public());
    let public = public.map(|code| (code.as_str(), code.status().as_u16())).collect();
    let without: Vec<_> = seen.symmetric_difference(&public).collect();
    assert!(without.is_empty(), "without an example in `errors()` above: {without:?}");
}

#[test]
fn a_spent_budget_asks_for_a_return_when_several_calls_can_pass_and_a_breaker_for_its_probe() {
    let wait = Duration::from_millis(25);
    let refusal = Refusal { wait, burst: 100, refill: Duration::from_millis(2_500) };
    for (error, expected) in [
        (UpstreamError::Spent(refusal), Duration::from_secs(1)),
        (UpstreamError::BreakerOpen(refusal), wait),
        (UpstreamError::QueueFull(refusal), wait),
    ] {
        let problem = GatewayError::Upstream(Arc::new(error)).problem();
        let Retry::After { wait: told, .. } = problem.retry else { panic!("{problem:?}") };
        assert_eq!(told, expected, "{problem:?}");
    }
}
