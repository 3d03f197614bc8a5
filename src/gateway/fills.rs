//! Fills at work: each in a task of its own, from ticket to stored response.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Gateway;
use crate::cache::{Codings, Fill, Freshness, Join, Kind, Origin, StoredResponse};
use crate::cluster::{Seen, SharedResponse};
use crate::error::{self, chain};
use crate::file_id::FileId;
use crate::upstream::{AnswerKind, Held, Order, Priority, Storable, UpstreamError};

pub(super) type Ticket = Fill<Arc<UpstreamError>>;

/// Redeems a ticket.
pub(super) fn start(gateway: &Arc<Gateway>, ticket: Ticket, order: Order) {
    gateway.fills.spawn(redeem(Arc::clone(gateway), ticket, order));
}

/// Asks for the next list while the last is still answered, unless somebody does already, or
/// nobody should.
pub(super) fn refresh(gateway: &Arc<Gateway>, file: &FileId, now: Duration) {
    if gateway.upstream.has_for_background()
        && let Join::Leader(ticket, _waiter) = gateway.cache.join(file, now)
    {
        let (priority, began) = (Priority::Background, Instant::now());
        start(gateway, ticket, Order { file: *file, priority, trace: None, began });
    }
}

/// Fetches for everyone who waits, unless another gateway has.
async fn redeem(gateway: Arc<Gateway>, ticket: Ticket, order: Order) {
    let rules = gateway.cache.freshness();
    let permit = match &gateway.cluster {
        None => None,
        Some(cluster) => match cluster.find(&order.file, &rules).await {
            Seen::Shared(shared) => {
                let SharedResponse { kind, body, as_of, ttl } = shared;
                let response = Arc::new(StoredResponse::new(kind, body, as_of));
                let finished = ticket.finish(Arc::clone(&response), Origin::SecondLevel { ttl });
                if finished.is_kept() && response.is_worth_encoding() {
                    encode(&gateway, order.file, response).await;
                }
                return;
            }
            Seen::Nothing(permit) => permit,
        },
    };
    let fetched = fetch(&gateway, ticket, &order).await;
    if let (Some(cluster), Some(permit)) = (&gateway.cluster, permit) {
        match &fetched {
            // Shared although this gateway may have had no room for it.
            Some(Fetched { response, freshness, .. }) => {
                let body = response.body.clone();
                let what = (response.kind, body);
                cluster.keep(&order.file, permit, what, freshness.ttl(), &rules).await;
            }
            None => cluster.release(&order.file, permit).await,
        }
    }
    if let Some(Fetched { response, stored: true, held, .. }) = fetched
        && response.is_worth_encoding()
    {
        encode(&gateway, order.file, response).await;
        drop(held);
    }
}

/// A response that was fetched, and may be shared.
struct Fetched {
    response: Arc<StoredResponse>,
    freshness: Freshness,
    stored: bool,
    /// Until everything is done with it, so that no more can wait for that than may be in flight.
    held: Held,
}

/// Asks the upstream, and tells everyone who waits.
async fn fetch(gateway: &Gateway, ticket: Ticket, order: &Order) -> Option<Fetched> {
    let priority = order.priority as u64;
    tracing::info!(target: "ikgate.fill", priority, file.id = order.file.as_bytes());
    let answer = match gateway.upstream.versions(order).await {
        Ok(answer) => answer,
        Err(error) => {
            log(ticket.id(), &error);
            ticket.fail(Arc::new(error));
            return None;
        }
    };
    let (kind, body) = match answer.kind {
        AnswerKind::BadRequest(body) => {
            (Kind::BadRequest, body.unwrap_or_else(|| error::bad_request().body()))
        }
        AnswerKind::List(body) => (Kind::List, body),
        AnswerKind::NotFound(body) => {
            (Kind::NotFound, body.unwrap_or_else(|| error::not_found().body()))
        }
    };
    let response = Arc::new(StoredResponse::new(kind, body, answer.asked));
    match answer.storable {
        Storable::No => {
            ticket.answer_only(response);
            None
        }
        // Neither encoded nor shared: other gateways would not know that they must not either.
        Storable::AsItCame => {
            _ = ticket.finish(response, Origin::Upstream);
            None
        }
        Storable::Yes => {
            let finished = ticket.finish(Arc::clone(&response), Origin::Upstream);
            let (freshness, stored) = (finished.freshness()?, finished.is_kept());
            Some(Fetched { response, freshness, stored, held: answer.held })
        }
    }
}

/// What says something of one file is told for each; what says something of the upstream is told
/// once, by whoever found out. The first of the causes seldom says what failed.
fn log(file: &FileId, error: &UpstreamError) {
    let outcome = error.outcome().as_str();
    match error {
        UpstreamError::Bad(_)
        | UpstreamError::Timeout { .. }
        | UpstreamError::Unreachable { .. } => {
            let error = chain(error);
            tracing::warn!(%file, outcome, %error, "no usable answer from the upstream");
        }
        UpstreamError::Auth { .. }
        | UpstreamError::BreakerOpen(_)
        | UpstreamError::Busy { .. }
        | UpstreamError::QueueFull(_)
        | UpstreamError::Spent(_) => {
            tracing::debug!(%file, outcome, error = %chain(error), "no answer from the upstream");
        }
    }
}

/// Makes the codings of what has just been stored: after everyone who waited has an answer, and
/// off the threads that answer.
async fn encode(gateway: &Gateway, file: FileId, response: Arc<StoredResponse>) {
    let turn = gateway.encoders.acquire().await;
    let body = response.body.clone();
    let made = tokio::task::spawn_blocking(move || Codings::of(&body)).await;
    if let Ok(codings) = made {
        gateway.cache.replace_encoded(&file, &response, response.with(codings));
    }
    drop(turn);
}
