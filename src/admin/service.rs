//! Service of the admin listener: checks each request and runs the operation that its path names.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{ACCEPT, DATE, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{HeaderValue, Method, Request, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;

use super::guard::{self, Refusal};
use super::operation::{Operation, PATHS};
use super::replies::{json, not_allowed, problem, text, with_security_fields};
use super::state::Admin;
use super::{cache_api, stats};
use crate::error::ErrorCode;
use crate::gateway::BOTH_LISTENERS;
use crate::message::date_value;
use crate::server::{Reply, Service, ServiceResponse, Unreadable, reply};
use crate::telemetry::Exposition;

/// Runbook of this version. It is served by the gateway, so that it is there in an outage.
const RUNBOOK: &str = include_str!("../../deploy/runbook.md");

impl Service for Admin {
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
        let admin = Arc::clone(self);
        ServiceResponse::Pending(Box::pin(async move { admin.reply(&head).await }))
    }

    fn refuse(&self, _: SocketAddr, refused: Unreadable, _: Option<()>) -> Option<Reply> {
        let reply = match refused {
            Unreadable::Malformed => {
                problem(ErrorCode::BadRequest, "The head cannot be parsed.", "Send HTTP/1.1.")
            }
            Unreadable::TimedOut => {
                problem(ErrorCode::RequestTimeout, "The head did not arrive in time.", "Try again.")
            }
            Unreadable::TooLong => problem(
                ErrorCode::HeadTooLarge,
                "The head has too many bytes or fields.",
                "Send fewer fields.",
            ),
        };
        let mut reply = with_security_fields(reply);
        reply.headers_mut().insert(DATE, date_value(self.clock().unix_time()));
        Some(reply)
    }
}

impl Admin {
    async fn reply(&self, head: &Parts) -> Reply {
        with_security_fields(self.answer(head).await)
    }

    async fn answer(&self, head: &Parts) -> Reply {
        let operation = Operation::at(head.uri.path());
        let access = Operation::access(operation, &head.method);
        if let Err(refusal) = guard::check(&self.settings, head, access) {
            return refused(refusal);
        }
        let Some(operation) = operation else {
            let message = "The admin listener does not serve that path.";
            return problem(ErrorCode::NoRoute, message, PATHS);
        };
        if matches!(head.method, Method::GET | Method::HEAD) {
            self.get(operation, head).await
        } else if head.method == Method::DELETE {
            self.delete(operation, head).await
        } else {
            not_allowed(operation.methods())
        }
    }

    async fn get(&self, operation: Operation<'_>, head: &Parts) -> Reply {
        match operation {
            Operation::Asset(asset) => asset.reply(),
            Operation::Cache => not_allowed(operation.methods()),
            Operation::CacheEntry(id) => cache_api::show(self, id),
            Operation::Config => json(StatusCode::OK, &**self.config.load()),
            Operation::Live => text(StatusCode::OK, "ok\n"),
            Operation::Metrics => {
                let accept = head.headers.get_all(ACCEPT).iter().map(HeaderValue::as_bytes);
                let exposition = Exposition::accepted(&accept.collect::<Vec<_>>());
                let metrics = self.expose(exposition).await;
                reply(StatusCode::OK, exposition.content_type(), metrics)
            }
            Operation::OpenApi => reply(StatusCode::OK, "application/json", BOTH_LISTENERS),
            Operation::Ready => self.readiness.answer(&self.key, &self.drain).await,
            Operation::Runbook => text(StatusCode::OK, RUNBOOK),
            Operation::Stats => stats::show(self),
        }
    }

    async fn delete(&self, operation: Operation<'_>, head: &Parts) -> Reply {
        match operation {
            Operation::Cache => cache_api::purge(self, None, &head.uri).await,
            Operation::CacheEntry(id) => cache_api::purge(self, Some(id), &head.uri).await,
            other => not_allowed(other.methods()),
        }
    }
}

fn refused(refusal: Refusal) -> Reply {
    let mut reply = match refusal {
        Refusal::CrossOrigin => problem(
            ErrorCode::Forbidden,
            "A page of another origin may not change anything here.",
            "Use the dashboard, curl or `ikgate purge`.",
        ),
        Refusal::Host => problem(
            ErrorCode::Misdirected,
            "The admin listener does not accept the Host of this request.",
            "Use an IP address or localhost, or list the name under admin.hosts.",
        ),
        Refusal::Token => problem(
            ErrorCode::Unauthorized,
            "This operation needs the admin token.",
            "Send 'Authorization: Bearer TOKEN'; the token is in the file named by \
             admin.token_file.",
        ),
    };
    if refusal == Refusal::Token {
        reply.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    reply
}
