//! Asynchronous half of the pipeline: reads or discards request bodies, and waits for fills.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::Guard;
use http::Response;
use http::request::Parts;

use super::decide::Rest;
use super::request_body::discard;
use super::{Gateway, GatewayBody, RequestContext, versions};
use crate::error::GatewayError;
use crate::exchange::ExchangeBody;
use crate::file_id::FileId;
use crate::message::RequestHead;
use crate::message::head::IDLE_BODY_MAX;
use crate::response::Answer;
use crate::route::{RouteFault, Selector};

/// Longest time for the body of a request that needs none. A longer limit serves slow clients that
/// send a body by mistake. A shorter one frees connections that send slowly on purpose.
const IDLE_BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// Answers a request that its head alone did not decide.
pub(super) async fn finish<B: GatewayBody>(
    gateway: Arc<Gateway>,
    rest: Box<Rest>,
    parts: Parts,
    body: B,
    mut context: RequestContext,
) -> Response<ExchangeBody> {
    let answer = match *rest {
        Rest::Fill(missed) => versions::fill(&gateway, &missed, &mut context).await,
        Rest::Webhook => take_webhook(&gateway, &parts, body, &context).await,
        Rest::Discard(read) => discarded(&gateway, read, &parts, body, &mut context).await,
    };
    let head = RequestHead::of(&parts, &gateway.proxies.field);
    match answer {
        Ok(answer) => context.respond(&answer, &head),
        Err(error) => context.refuse(&error, &head),
    }
}

/// Discards the body, then decides on the request by the policy that is in force by then.
async fn discarded<B: GatewayBody>(
    gateway: &Arc<Gateway>,
    read: Option<(FileId, Selector)>,
    parts: &Parts,
    body: B,
    context: &mut RequestContext,
) -> Result<Answer, GatewayError> {
    discard(body, IDLE_BODY_MAX, IDLE_BODY_TIMEOUT).await?;
    let Some((file, selector)) = read else { return Ok(Answer::Preflight) };
    context.policy = Guard::from_inner(gateway.policy.load_full());
    let decided = {
        let head = RequestHead::of(parts, &gateway.proxies.field);
        gateway.decide_read(&file, &selector, &head, gateway.clock.monotonic(), context)?
    };
    match decided {
        Ok(answer) => Ok(answer),
        Err(missed) => versions::fill(gateway, &missed, context).await,
    }
}

async fn take_webhook<B: GatewayBody>(
    gateway: &Gateway,
    parts: &Parts,
    body: B,
    context: &RequestContext,
) -> Result<Answer, GatewayError> {
    let entrance = gateway.webhooks.as_ref().ok_or(GatewayError::Route(RouteFault::NoRoute))?;
    let limits = &context.policy.limits;
    let from = limits.subscriber(context.exchange.client);
    entrance.take(parts, body, from, limits, &gateway.clock).await?;
    Ok(Answer::Accepted)
}
