//! Fills at work: each in a task of its own, from ticket to stored response.

use std::sync::Arc;
use std::time::Duration;

use super::Gateway;
use crate::cache::{Codings, Fill, Kind, Seat, StoredResponse};
use crate::error;
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
        && let Seat::Leader(ticket, _nobody_waits) = gateway.cache.join(file, now)
    {
        start(gateway, ticket, Order { file: *file, priority: Priority::Background, trace: None });
    }
}

/// Fetches for everyone who waits.
async fn redeem(gateway: Arc<Gateway>, ticket: Ticket, order: Order) {
    let priority = order.priority as u64;
    tracing::info!(target: "ikgate.fill", priority, file.id = order.file.as_bytes());
    let answer = match gateway.upstream.versions(&order).await {
        Ok(answer) => answer,
        Err(error) => {
            log(ticket.id(), &error);
            return ticket.fail(Arc::new(error));
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
        Storable::No => ticket.answer_only(response),
        Storable::Yes => {
            let file = *ticket.id();
            if ticket.store(Arc::clone(&response)) && Codings::suit(&response) {
                encode(&gateway, file, response, answer.held).await;
            }
        }
    }
}

/// What says something of one file is told for each; what says something of the upstream is told
/// once, by whoever found out.
fn log(file: &FileId, error: &UpstreamError) {
    let outcome = error.outcome().as_str();
    let cause = error as &(dyn std::error::Error + 'static);
    match error {
        UpstreamError::Bad(_)
        | UpstreamError::Timeout { .. }
        | UpstreamError::Unreachable { .. } => {
            tracing::warn!(%file, outcome, error = cause, "no usable answer from the upstream");
        }
        UpstreamError::Auth { .. }
        | UpstreamError::BreakerOpen(_)
        | UpstreamError::Busy { .. }
        | UpstreamError::QueueFull(_)
        | UpstreamError::Spent(_) => {
            tracing::debug!(%file, outcome, error = cause, "no answer from the upstream");
        }
    }
}

/// Makes the codings of what has just been stored: after everyone who waited has an answer, and
/// off the threads that answer. Until it is done the body still counts as in flight, so that no
/// more can wait for it than may be in flight.
async fn encode(gateway: &Gateway, file: FileId, response: Arc<StoredResponse>, held: Held) {
    let turn = gateway.encoders.acquire().await;
    let body = response.body.clone();
    let made = tokio::task::spawn_blocking(move || Codings::of(&body)).await;
    if let Ok(codings) = made {
        gateway.cache.improve(&file, &response, response.with(codings));
    }
    drop((turn, held));
}
