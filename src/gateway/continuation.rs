//! Asynchronous half of the pipeline: reads or discards request bodies, and waits for fills.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::Guard;
use http::Response;
use http::request::Parts;

use super::context::RequestContext;
use super::decide::Continuation;
use super::request_body::{GatewayBody, discard};
use super::state::Gateway;
use super::{help, versions};
use crate::caller::Caller;
use crate::error::GatewayError;
use crate::exchange::ExchangeBody;
use crate::file_id::FileId;
use crate::message::RequestHead;
use crate::response::Answer;
use crate::route::{HelpDocument, RouteFault, Selector};

/// Longest body accepted with a request that has no use for one, in bytes. It is read and
/// discarded, so that the connection can be kept. A longer body is not worth reading.
const IDLE_BODY_MAX: usize = 64 * 1024;
/// Longest time for the body of a request that needs none. A longer limit serves slow clients that
/// send a body by mistake. A shorter one frees connections that send slowly on purpose.
const IDLE_BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// Answers a request that its head alone did not decide.
pub(super) async fn finish<B: GatewayBody>(
    gateway: Arc<Gateway>,
    rest: Box<Continuation>,
    parts: Parts,
    body: B,
    mut context: RequestContext,
) -> Response<ExchangeBody> {
    let answer = match *rest {
        Continuation::Fill(miss) => versions::fill(&gateway, &miss, &mut context).await,
        Continuation::Help(document) => {
            write_help(&gateway, document, &parts, body, &mut context).await
        }
        Continuation::Webhook => receive_webhook(&gateway, &parts, body, &context).await,
        Continuation::Discard(read) => {
            discard_body(&gateway, read, &parts, body, &mut context).await
        }
    };
    let head = RequestHead::of(&parts, &gateway.proxies.field);
    match answer {
        Ok(answer) => context.respond(&answer, &head),
        Err(error) => context.refuse(&error, &head),
    }
}

/// Discards the body, then decides on the request by the rules that are in force by then.
async fn discard_body<B: GatewayBody>(
    gateway: &Arc<Gateway>,
    read: Option<(FileId, Selector)>,
    parts: &Parts,
    body: B,
    context: &mut RequestContext,
) -> Result<Answer, GatewayError> {
    discard(body, IDLE_BODY_MAX, IDLE_BODY_TIMEOUT).await?;
    let Some((file, selector)) = read else { return Ok(Answer::Preflight) };
    context.rules = Guard::from_inner(gateway.rules.load_full());
    let decided = {
        let head = RequestHead::of(parts, &gateway.proxies.field);
        context.page = context.rules.page_access(&head);
        gateway.decide_read(&file, &selector, &head, gateway.clock.monotonic(), context)?
    };
    match decided {
        Ok(answer) => Ok(answer),
        Err(miss) => versions::fill(gateway, &miss, context).await,
    }
}

/// Writes a document about this gateway. It spends the address's quota, also if the request has a
/// credential.
async fn write_help<B: GatewayBody>(
    gateway: &Gateway,
    document: HelpDocument,
    parts: &Parts,
    body: B,
    context: &mut RequestContext,
) -> Result<Answer, GatewayError> {
    discard(body, IDLE_BODY_MAX, IDLE_BODY_TIMEOUT).await?;
    let rules = &context.rules;
    let caller = Caller::Anonymous(context.exchange.client);
    context.exchange.caller = rules.label(&caller);
    let (quota_status, verdict) = rules.admit(&caller);
    context.quota = Some((caller, quota_status));
    verdict?;
    Ok(Answer::Document(match document {
        HelpDocument::Guide => {
            let head = RequestHead::of(parts, &gateway.proxies.field);
            let base_path = gateway.operations.base_path.as_str();
            let url = help::own_url(&head, &parts.headers, rules.tls, base_path);
            help::guide(url, rules.accepted_credentials(), quota_status, &parts.headers)
        }
        HelpDocument::OpenApi => help::description(),
    }))
}

async fn receive_webhook<B: GatewayBody>(
    gateway: &Gateway,
    parts: &Parts,
    body: B,
    context: &RequestContext,
) -> Result<Answer, GatewayError> {
    let receiver = gateway.webhooks.as_ref().ok_or(GatewayError::Route(RouteFault::NoRoute))?;
    let limits = &context.rules.limits;
    let from = limits.subscriber(context.exchange.client);
    receiver.receive(parts, body, from, limits, &gateway.clock).await?;
    Ok(Answer::Accepted)
}
