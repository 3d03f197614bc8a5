//! A version list, or one version of it: look it up, else fill. Where cache and upstream meet.
//!
//! It decides nothing that the cache can decide: what may be reused, who fills, and what is
//! stored are the cache's answers.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::Guard;
use http::StatusCode;
use tokio::time::Instant;

use super::{Findings, Gateway, fills};
use crate::cache::{
    CacheStatus, FillEnd, Forwarded, FwdReason, Join, Kind, Lookup, Origin, Privacy, Reuse,
    StoredResponse,
};
use crate::error::{self, GatewayError};
use crate::file_id::FileId;
use crate::message::TraceContext;
use crate::response::{Answer, Times};
use crate::route::Wanted;
use crate::upstream::{BadAnswer, Order, Priority, UpstreamError};

/// What is asked for, and how far its asker sees.
#[derive(Clone, Copy)]
pub(super) struct Ask<'a> {
    pub(super) file: FileId,
    pub(super) wanted: Wanted<'a>,
    pub(super) sight: Sight,
    pub(super) priority: Priority,
    pub(super) trace: Option<TraceContext>,
}

impl Ask<'_> {
    /// What a fill for it asks of the upstream.
    fn order(&self) -> Order {
        let began = Instant::now();
        Order { file: self.file, priority: self.priority, trace: self.trace, began }
    }
}

/// Which lists somebody may see.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) enum Sight {
    All,
    /// A private file's is as if it did not exist.
    Public,
}

/// How much longer than the fill itself its waiters have: whoever leaves before the fill does
/// could come again and join what is about to fail.
const PATIENCE: Duration = Duration::from_secs(1);

/// Answers from what is stored, or says why that cannot be.
pub(super) fn look_up(
    gateway: &Arc<Gateway>,
    ask: Ask<'_>,
    now: Duration,
    findings: &mut Findings,
) -> Result<Answer, FwdReason> {
    let Lookup::Found { response, reuse } = gateway.cache.lookup(&ask.file, now) else {
        return Err(FwdReason::UriMiss);
    };
    let (status, ttl_left) = match reuse {
        Reuse::Fresh { ttl_left } => (CacheStatus::Hit { ttl_left }, ttl_left),
        // What is stale says nothing of a version that it does not know yet.
        Reuse::Revalidate { stale_for }
            if is_in(&response, ask.wanted) && !gateway.is_cut_off() =>
        {
            fills::refresh(gateway, &ask.file, now);
            (CacheStatus::StaleHit { stale_for }, Duration::ZERO)
        }
        Reuse::Revalidate { .. } | Reuse::IfError | Reuse::Expired => return Err(FwdReason::Stale),
    };
    findings.cache = Some(status);
    Ok(answer_from(response, ask, now, ttl_left))
}

/// Waits for the upstream, with whoever else wants the same file.
pub(super) async fn fill(
    gateway: &Arc<Gateway>,
    ask: Ask<'_>,
    reason: FwdReason,
    findings: &mut Findings,
) -> Result<Answer, GatewayError> {
    // A borrowed one takes one of its thread's few slots, and this may take long.
    findings.policy = Guard::from_inner(Arc::clone(&findings.policy));
    match wait(gateway, ask, reason, findings).await {
        // It may have been somebody less urgent's fill, which gave way. Ours does not.
        Err((Role::Follower, GatewayError::Upstream(error)))
            if matches!(*error, UpstreamError::Spent(_) | UpstreamError::QueueFull(_))
                && ask.priority == Priority::Authenticated =>
        {
            wait(gateway, ask, reason, findings).await.map_err(|(_, error)| error)
        }
        ended => ended.map_err(|(_, error)| error),
    }
}

/// Whose fill it was.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Role {
    Follower,
    Leader,
}

async fn wait(
    gateway: &Arc<Gateway>,
    ask: Ask<'_>,
    reason: FwdReason,
    findings: &mut Findings,
) -> Result<Answer, (Role, GatewayError)> {
    let now = gateway.clock.monotonic();
    let (waiter, role) = match gateway.cache.join(&ask.file, now) {
        Join::Hit { response, ttl_left } => {
            findings.cache = Some(CacheStatus::Hit { ttl_left });
            return Ok(answer_from(response, ask, now, ttl_left));
        }
        Join::Leader(ticket, waiter) => {
            fills::start(gateway, ticket, ask.order());
            (waiter, Role::Leader)
        }
        Join::Follower(waiter) => (waiter, Role::Follower),
    };
    let collapsed = role == Role::Follower;
    let mut forwarded = Forwarded { reason, status: None, stored: false, collapsed };
    findings.cache = Some(CacheStatus::Forwarded(forwarded));
    let end = tokio::select! {
        biased;
        end = tokio::time::timeout(gateway.request_timeout + PATIENCE, waiter.wait()) => Some(end),
        () = gateway.closing.cancelled() => None,
    };
    let now = gateway.clock.monotonic();
    let error = match end {
        None => GatewayError::ShuttingDown,
        Some(Ok(Some(FillEnd::Answered { response, finished, origin }))) => {
            let hidden = is_hidden(&response, ask.sight);
            let status = if hidden { StatusCode::NOT_FOUND } else { response.kind.status() };
            forwarded.status = Some(status);
            forwarded.stored = finished.is_kept();
            findings.cache = Some(match origin {
                Origin::SecondLevel { .. } => CacheStatus::SecondLevelHit,
                Origin::Upstream => CacheStatus::Forwarded(forwarded),
            });
            let freshness = finished.freshness();
            let ttl_left = freshness.map(|freshness| freshness.ttl_left(now)).unwrap_or_default();
            return Ok(answer_from(response, ask, now, ttl_left));
        }
        Some(Ok(Some(FillEnd::Failed(error)))) => GatewayError::from(error),
        Some(Ok(None)) => GatewayError::Internal,
        Some(Err(_elapsed)) => GatewayError::UpstreamTimeout,
    };
    // Looked up anew: an invalidation since has taken what was there.
    if let Some((response, status, ttl_left)) = instead_of(&error, gateway, ask, now) {
        findings.cache = Some(status);
        return Ok(answer_from(response, ask, now, ttl_left));
    }
    forwarded.status = came_back(&error);
    findings.cache = Some(CacheStatus::Forwarded(forwarded));
    Err((role, error))
}

/// What is stored, if it may be answered in the place of this error.
fn instead_of(
    error: &GatewayError,
    gateway: &Gateway,
    ask: Ask<'_>,
    now: Duration,
) -> Option<(Arc<StoredResponse>, CacheStatus, Duration)> {
    let allowed = match error {
        // What may have been purged elsewhere is for an upstream that fails, and nothing less.
        GatewayError::Upstream(error) if gateway.is_cut_off() => error.is_upstreams_failure(),
        GatewayError::ShuttingDown => !gateway.is_cut_off(),
        GatewayError::Upstream(error) => error.allows_stale(),
        other => matches!(other, GatewayError::UpstreamTimeout),
    };
    let found = gateway.cache.lookup(&ask.file, now);
    let Lookup::Found { response, reuse } = found else { return None };
    match reuse {
        // Another fill has succeeded in the meantime.
        Reuse::Fresh { ttl_left } => Some((response, CacheStatus::Hit { ttl_left }, ttl_left)),
        Reuse::Revalidate { .. } | Reuse::IfError if allowed && is_in(&response, ask.wanted) => {
            Some((response, CacheStatus::StaleIfError, Duration::ZERO))
        }
        Reuse::Revalidate { .. } | Reuse::IfError | Reuse::Expired => None,
    }
}

/// Whether it is as if it did not exist, to somebody who sees no further.
pub(super) fn is_hidden(response: &StoredResponse, sight: Sight) -> bool {
    response.privacy == Privacy::Private && sight == Sight::Public
}

/// Whether a response has what is wanted. A negative one answers for every version.
fn is_in(response: &StoredResponse, wanted: Wanted<'_>) -> bool {
    match wanted {
        Wanted::List => true,
        Wanted::Version(id) => response.kind != Kind::List || response.version(id).is_some(),
    }
}

fn answer_from(
    response: Arc<StoredResponse>,
    ask: Ask<'_>,
    now: Duration,
    ttl_left: Duration,
) -> Answer {
    if is_hidden(&response, ask.sight) {
        return Answer::Problem(error::not_found());
    }
    let times = Times { age: response.age(now), ttl_left };
    let id = match ask.wanted {
        Wanted::Version(id) if response.kind == Kind::List => id,
        Wanted::List | Wanted::Version(_) => return Answer::Stored { response, times },
    };
    match response.version(id) {
        Some(element) => {
            Answer::Version { bytes: element.bytes.clone(), tag: element.tag(), times }
        }
        None => Answer::Problem(error::version_not_found()),
    }
}

/// The status of a failed call, where there was one.
fn came_back(error: &GatewayError) -> Option<StatusCode> {
    let GatewayError::Upstream(error) = error else { return None };
    match &**error {
        UpstreamError::Auth { status } => *status,
        UpstreamError::Bad(BadAnswer::Status { status }) => Some(*status),
        UpstreamError::Busy { .. } => Some(StatusCode::TOO_MANY_REQUESTS),
        UpstreamError::Bad(_)
        | UpstreamError::BreakerOpen(_)
        | UpstreamError::QueueFull(_)
        | UpstreamError::Spent(_)
        | UpstreamError::Timeout { .. }
        | UpstreamError::Unreachable { .. } => None,
    }
}
