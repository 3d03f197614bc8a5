//! Reads of a version list, or of one version: from the cache, else by a fill. The cache and the
//! upstream meet here.
//!
//! The cache decides what may be reused, which request fills, and what is stored. This module
//! refuses some stale responses besides: those without the version and, unless the upstream fails,
//! those of a gateway that is cut off.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use tokio::time::Instant;

use super::context::RequestContext;
use super::fills;
use super::query::{CacheMiss, VersionQuery, Visibility};
use super::state::Gateway;
use crate::cache::{
    CacheStatus, FillEnd, Forwarded, FwdReason, Join, Kind, Lookup, Origin, Privacy, Reuse,
    StoredResponse,
};
use crate::error::{self, GatewayError};
use crate::file_id::FileId;
use crate::response::{Answer, ResponseAge, Reusable};
use crate::route::Selector;
use crate::upstream::{BadAnswer, Priority, UpstreamError};

/// Response that may be sent, and the cache's outcome.
pub(super) struct Reused {
    pub(super) response: Arc<StoredResponse>,
    pub(super) status: CacheStatus,
    /// Remaining freshness. Zero for a stale response, and for one that must not be reused.
    pub(super) ttl_left: Duration,
}

impl Reused {
    fn hit(response: Arc<StoredResponse>, ttl_left: Duration) -> Self {
        Self { response, status: CacheStatus::Hit { ttl_left }, ttl_left }
    }
}

/// Time by which a waiter outlasts its fill. A request that gave up first could come back and join
/// a fill that is about to fail.
const WAITER_MARGIN: Duration = Duration::from_secs(1);

/// Returns the stored response, if it may be sent without waiting. Otherwise returns why not.
pub(super) fn find_servable(
    gateway: &Gateway,
    file: &FileId,
    selector: &Selector,
    now: Duration,
) -> Result<Reused, FwdReason> {
    let Lookup::Found { response, reuse } = gateway.cache.lookup(file, now) else {
        return Err(FwdReason::UriMiss);
    };
    match reuse {
        Reuse::Fresh { ttl_left } => Ok(Reused::hit(response, ttl_left)),
        // A stale list says nothing about a version that it does not contain yet.
        Reuse::StaleWhileRevalidate { stale_for }
            if holds(&response, selector) && !gateway.is_cut_off() =>
        {
            let status = CacheStatus::StaleHit { stale_for };
            Ok(Reused { response, status, ttl_left: Duration::ZERO })
        }
        Reuse::StaleWhileRevalidate { .. } | Reuse::IfError | Reuse::Expired => {
            Err(FwdReason::Stale)
        }
    }
}

/// Waits for the upstream, together with every other request for the same file.
pub(super) async fn fill(
    gateway: &Arc<Gateway>,
    CacheMiss { query, reason }: &CacheMiss,
    context: &mut RequestContext,
) -> Result<Answer, GatewayError> {
    let until = Instant::now() + gateway.request_timeout + WAITER_MARGIN;
    match wait(gateway, query, *reason, until, context).await {
        // The fill may have been started by a less urgent request, and refused for that. A new one
        // has this request's priority.
        Err((Role::Follower, GatewayError::Upstream(error)))
            if matches!(*error, UpstreamError::Spent(_) | UpstreamError::QueueFull(_))
                && query.priority == Priority::Authenticated =>
        {
            wait(gateway, query, *reason, until, context).await.map_err(|(_, error)| error)
        }
        ended => ended.map_err(|(_, error)| error),
    }
}

/// Role of a request in its fill.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Role {
    Follower,
    Leader,
}

/// Joins the fill of the file, or starts it, and waits for its end, but not longer than `until`.
async fn wait(
    gateway: &Arc<Gateway>,
    query: &VersionQuery,
    reason: FwdReason,
    until: Instant,
    context: &mut RequestContext,
) -> Result<Answer, (Role, GatewayError)> {
    let now = gateway.clock.monotonic();
    let (waiter, role) = match gateway.cache.join(&query.file, now) {
        Join::Hit { response, ttl_left } => {
            return Ok(query.answer(Reused::hit(response, ttl_left), now, context));
        }
        Join::Leader(fill, waiter) => {
            fills::start(gateway, fill, query.fetch_request());
            (waiter, Role::Leader)
        }
        Join::Follower(waiter) => (waiter, Role::Follower),
    };
    let collapsed = role == Role::Follower;
    let mut forwarded = Forwarded { reason, status: None, stored: false, collapsed };
    context.cache = Some(CacheStatus::Forwarded(forwarded));
    let end = tokio::select! {
        biased;
        end = tokio::time::timeout_at(until, waiter.wait()) => Some(end),
        () = gateway.closing.cancelled() => None,
    };
    let now = gateway.clock.monotonic();
    let error = match end {
        None => GatewayError::ShuttingDown,
        Some(Ok(Some(FillEnd::Answered { response, finished, origin }))) => {
            let hidden = is_hidden(&response, query.visibility);
            let status = if hidden { StatusCode::NOT_FOUND } else { response.kind.status() };
            forwarded.status = Some(status);
            forwarded.stored = finished.is_kept();
            let status = match origin {
                Origin::SecondLevel { .. } => CacheStatus::SecondLevelHit,
                Origin::Upstream => CacheStatus::Forwarded(forwarded),
            };
            let freshness = finished.freshness();
            let ttl_left = freshness.map(|freshness| freshness.ttl_left(now)).unwrap_or_default();
            return Ok(query.answer(Reused { response, status, ttl_left }, now, context));
        }
        Some(Ok(Some(FillEnd::Failed(error)))) => GatewayError::from(error),
        Some(Ok(None)) => GatewayError::Internal,
        Some(Err(_elapsed)) => GatewayError::UpstreamTimeout,
    };
    // Looked up again: an invalidation may have removed the response in the meantime.
    if let Some(reused) = stale_instead_of(&error, gateway, query, now) {
        return Ok(query.answer(reused, now, context));
    }
    forwarded.status = upstream_status(&error);
    context.cache = Some(CacheStatus::Forwarded(forwarded));
    Err((role, error))
}

impl VersionQuery {
    fn answer(&self, reused: Reused, now: Duration, context: &mut RequestContext) -> Answer {
        context.cache = Some(reused.status);
        answer_from(reused, &self.selector, self.visibility, now)
    }
}

/// Returns the stored response, if it may be sent in place of this error.
fn stale_instead_of(
    error: &GatewayError,
    gateway: &Gateway,
    query: &VersionQuery,
    now: Duration,
) -> Option<Reused> {
    let allowed = match error {
        // A gateway that is cut off from the fleet may have missed a purge. It uses stale responses
        // only if the upstream itself fails.
        GatewayError::Upstream(error) if gateway.is_cut_off() => error.is_upstreams_failure(),
        GatewayError::ShuttingDown => !gateway.is_cut_off(),
        GatewayError::Upstream(error) => error.allows_stale(),
        other => matches!(other, GatewayError::UpstreamTimeout),
    };
    let found = gateway.cache.lookup(&query.file, now);
    let Lookup::Found { response, reuse } = found else { return None };
    match reuse {
        // Another fill has succeeded in the meantime.
        Reuse::Fresh { ttl_left } => Some(Reused::hit(response, ttl_left)),
        Reuse::StaleWhileRevalidate { .. } | Reuse::IfError
            if allowed && holds(&response, &query.selector) =>
        {
            let status = CacheStatus::StaleIfError;
            Some(Reused { response, status, ttl_left: Duration::ZERO })
        }
        Reuse::StaleWhileRevalidate { .. } | Reuse::IfError | Reuse::Expired => None,
    }
}

/// Returns whether the file must look nonexistent to a caller with this visibility.
fn is_hidden(response: &StoredResponse, visibility: Visibility) -> bool {
    response.privacy == Privacy::Private && visibility == Visibility::Public
}

/// Returns whether a response holds what is selected. A negative response answers for every
/// version.
fn holds(response: &StoredResponse, selector: &Selector) -> bool {
    match selector {
        Selector::List => true,
        Selector::Version(id) => response.kind != Kind::List || response.version(id).is_some(),
    }
}

/// Builds the answer from a response that may be sent.
pub(super) fn answer_from(
    Reused { response, ttl_left, .. }: Reused,
    selector: &Selector,
    visibility: Visibility,
    now: Duration,
) -> Answer {
    if is_hidden(&response, visibility) {
        return Answer::Problem(error::not_found());
    }
    let times = ResponseAge { age: response.age(now), ttl_left };
    match selector {
        Selector::Version(id) if response.kind == Kind::List => match response.version(id) {
            Some(element) => Answer::Reusable(Reusable::version(element, times)),
            None => Answer::Problem(error::version_not_found()),
        },
        Selector::List | Selector::Version(_) => {
            Answer::Reusable(Reusable::stored(response, times))
        }
    }
}

/// Returns the status of a failed upstream call, if it had one.
fn upstream_status(error: &GatewayError) -> Option<StatusCode> {
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
