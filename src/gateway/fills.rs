//! Fill tasks: each fetches one list from the second-level cache or from the upstream, and stores
//! it. A fill runs in a task of its own and serves every request that waits for the same file.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::state::Gateway;
use crate::cache::{self, Codings, Freshness, Join, Kind, Origin, StoredResponse};
use crate::cluster::{SharedLookup, SharedResponse};
use crate::error;
use crate::error_chain::chain;
use crate::file_id::FileId;
use crate::upstream::{BodyPermit, FetchRequest, Priority, ResponseKind, Storable, UpstreamError};

/// Handle that completes one fill.
pub(super) type Fill = cache::Fill<Arc<UpstreamError>>;

/// Starts the fill in a task of its own.
pub(super) fn start(gateway: &Arc<Gateway>, fill: Fill, request: FetchRequest) {
    gateway.fills.spawn(run(Arc::clone(gateway), fill, request));
}

/// Starts a background fill of a stale list, unless a fill of it runs already or the upstream has
/// no capacity for background calls.
pub(super) fn refresh(gateway: &Arc<Gateway>, file: &FileId, now: Duration) {
    if gateway.upstream.can_refresh_now()
        && let Join::Leader(fill, _waiter) = gateway.cache.join(file, now)
    {
        let (priority, began) = (Priority::Background, Instant::now());
        start(gateway, fill, FetchRequest { file: *file, priority, trace: None, began });
    }
}

/// Completes a fill for all its waiters: from the second-level cache if another gateway has the
/// list, else from the upstream.
async fn run(gateway: Arc<Gateway>, fill: Fill, request: FetchRequest) {
    let rules = gateway.cache.freshness();
    let permit = match &gateway.cluster {
        None => None,
        Some(cluster) => match cluster.find(&request.file, &rules).await {
            SharedLookup::Found(shared) => {
                let SharedResponse { kind, body, as_of, ttl } = shared;
                let response = Arc::new(StoredResponse::new(kind, body, as_of));
                let finished = fill.finish(Arc::clone(&response), Origin::SecondLevel { ttl });
                if finished.is_kept() && response.is_worth_encoding() {
                    encode(&gateway, request.file, response).await;
                }
                return;
            }
            SharedLookup::Missing(permit) => permit,
        },
    };
    let fetched = fetch(&gateway, fill, &request).await;
    if let (Some(cluster), Some(permit)) = (&gateway.cluster, permit) {
        match &fetched {
            // Shared with the fleet although this gateway may have had no room for it.
            Some(Fetched { response, freshness, .. }) => {
                let shared = SharedResponse {
                    kind: response.kind,
                    body: response.body.clone(),
                    as_of: response.as_of,
                    ttl: freshness.ttl(),
                };
                cluster.keep(&request.file, permit, shared, &rules).await;
            }
            None => cluster.release(&request.file, permit).await,
        }
    }
    if let Some(Fetched { response, stored: true, permit, .. }) = fetched
        && response.is_worth_encoding()
    {
        encode(&gateway, request.file, response).await;
        drop(permit);
    }
}

/// Response that was fetched and may be shared with other gateways.
struct Fetched {
    response: Arc<StoredResponse>,
    freshness: Freshness,
    stored: bool,
    /// Permit for the body's bytes in flight, held until encoding is done. So the fetched responses
    /// that wait for encoding never hold more than the limit of bytes in flight. Those from the
    /// second level are not counted.
    permit: BodyPermit,
}

/// Fetches the list from the upstream and wakes the waiters. Returns the response if it may be
/// shared.
async fn fetch(gateway: &Gateway, fill: Fill, request: &FetchRequest) -> Option<Fetched> {
    let answer = match gateway.upstream.versions(request).await {
        Ok(answer) => answer,
        Err(error) => {
            log(fill.id(), &error);
            fill.fail(Arc::new(error));
            return None;
        }
    };
    let (kind, body) = match answer.kind {
        ResponseKind::BadRequest(body) => {
            (Kind::BadRequest, body.unwrap_or_else(|| error::bad_request().body()))
        }
        ResponseKind::List(body) => (Kind::List, body),
        ResponseKind::NotFound(body) => {
            (Kind::NotFound, body.unwrap_or_else(|| error::not_found().body()))
        }
    };
    let response = Arc::new(StoredResponse::new(kind, body, answer.as_of));
    match answer.storable {
        Storable::No => {
            fill.answer_only(response);
            None
        }
        // Neither encoded nor shared: the other gateways would not know that the upstream forbids a
        // transformation.
        Storable::Untransformed => {
            _ = fill.finish(response, Origin::Upstream);
            None
        }
        Storable::Yes => {
            let finished = fill.finish(Arc::clone(&response), Origin::Upstream);
            let (freshness, stored) = (finished.freshness()?, finished.is_kept());
            Some(Fetched { response, freshness, stored, permit: answer.permit })
        }
    }
}

/// Logs a failed fill. A call that failed is a warning for each fill. A call that was not made, or
/// was refused for the account or the key, is logged where that begins, and at debug level here. The chain
/// of causes is logged, because the first cause seldom says what failed.
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
            tracing::debug!(
                %file, outcome, error = %chain(error),
                "fill failed: the call was not made, or the upstream refused it"
            );
        }
    }
}

/// Compresses a response that has just been stored. It runs after all waiters have their response,
/// and off the threads that serve requests.
async fn encode(gateway: &Gateway, file: FileId, response: Arc<StoredResponse>) {
    let turn = gateway.encoders.acquire().await;
    let body = response.body.clone();
    let made = tokio::task::spawn_blocking(move || Codings::of(&body)).await;
    if let Ok(codings) = made {
        gateway.cache.replace_encoded(&file, &response, response.with(codings));
    }
    drop(turn);
}
