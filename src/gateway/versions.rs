//! A version list: look it up, else fill. Where cache and upstream meet.
//!
//! It decides nothing that the cache can decide: what may be reused, who fills, and what is
//! stored are the cache's answers.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;

use super::{Findings, Gateway};
use crate::cache::{
    CacheStatus, Fill, FillEnd, Forwarded, FwdReason, Kind, Lookup, Seat, StoredResponse,
};
use crate::error::{self, GatewayError};
use crate::file_id::FileId;
use crate::response::Answer;
use crate::upstream::{AnswerKind, Storable, UpstreamError};

/// Answers from what is stored, or says why that cannot be.
pub(super) fn look_up(
    gateway: &Gateway,
    file: &FileId,
    findings: &mut Findings,
) -> Result<Answer, FwdReason> {
    let now = gateway.clock.monotonic();
    match gateway.cache.lookup(file, now) {
        Lookup::Fresh { response, ttl_left } => {
            findings.cache = Some(CacheStatus::Hit { ttl_left });
            Ok(stored(response, now))
        }
        Lookup::Stale { .. } => Err(FwdReason::Stale),
        Lookup::Absent => Err(FwdReason::UriMiss),
    }
}

/// Waits for the upstream, with whoever else wants the same file.
pub(super) async fn fill(
    gateway: &Arc<Gateway>,
    file: &FileId,
    reason: FwdReason,
    findings: &mut Findings,
) -> Result<Answer, GatewayError> {
    let now = gateway.clock.monotonic();
    let (waiter, collapsed) = match gateway.cache.join(file, now) {
        Seat::Answered { response, ttl_left } => {
            findings.cache = Some(CacheStatus::Hit { ttl_left });
            return Ok(stored(response, now));
        }
        Seat::Leader(ticket, waiter) => {
            gateway.fills.spawn(redeem(Arc::clone(gateway), ticket));
            (waiter, false)
        }
        Seat::Follower(waiter) => (waiter, true),
    };
    let mut forwarded = Forwarded { reason, status: None, stored: false, collapsed };
    findings.cache = Some(CacheStatus::Forwarded(forwarded));
    let end = tokio::time::timeout(gateway.request_timeout, waiter.wait()).await;
    match end.map_err(|_| GatewayError::UpstreamTimeout)?.ok_or(GatewayError::Internal)? {
        FillEnd::Answered { response, stored: kept } => {
            forwarded.status = Some(status_of(response.kind));
            forwarded.stored = kept;
            findings.cache = Some(CacheStatus::Forwarded(forwarded));
            Ok(stored(response, gateway.clock.monotonic()))
        }
        FillEnd::Failed(error) => {
            forwarded.status = came_back(&error);
            findings.cache = Some(CacheStatus::Forwarded(forwarded));
            Err(error.into())
        }
    }
}

/// Fetches for everyone who waits.
async fn redeem(gateway: Arc<Gateway>, fill: Fill<Arc<UpstreamError>>) {
    let answer = match gateway.upstream.versions(fill.id()).await {
        Ok(answer) => answer,
        Err(error) => {
            tracing::warn!(
                file = %fill.id(),
                outcome = error.outcome().as_str(),
                error = &error as &(dyn std::error::Error + 'static),
                "no usable answer from the upstream"
            );
            return fill.fail(Arc::new(error));
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
    let response = Arc::new(StoredResponse::new(kind, body, gateway.clock.monotonic()));
    match answer.storable {
        Storable::No => fill.answer_only(response),
        Storable::Yes => fill.store(response),
    }
}

fn stored(response: Arc<StoredResponse>, now: Duration) -> Answer {
    let age = response.age(now);
    Answer::Stored { response, age }
}

fn status_of(kind: Kind) -> StatusCode {
    match kind {
        Kind::BadRequest => StatusCode::BAD_REQUEST,
        Kind::List => StatusCode::OK,
        Kind::NotFound => StatusCode::NOT_FOUND,
    }
}

/// The status of a failed call, where there was one.
fn came_back(error: &UpstreamError) -> Option<StatusCode> {
    use crate::upstream::BadAnswer;
    match error {
        UpstreamError::Auth { status } | UpstreamError::Bad(BadAnswer::Status { status }) => {
            Some(*status)
        }
        UpstreamError::Busy { .. } => Some(StatusCode::TOO_MANY_REQUESTS),
        UpstreamError::Bad(_)
        | UpstreamError::QueueFull
        | UpstreamError::Timeout { .. }
        | UpstreamError::Unreachable { .. } => None,
    }
}
