//! Handlers of `/api/cache`: they show the cache entry of a file, and purge a file or all files.

use std::collections::BTreeMap;
use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{HeaderValue, StatusCode, Uri};
use serde::{Deserialize, Serialize};

use super::replies::{json, problem};
use super::state::Admin;
use crate::cache::{Lookup, PurgeMode, Reuse, StoredResponse, Target};
use crate::error::ErrorCode;
use crate::file_id::FileId;
use crate::invalidation::{InvalidationSource, Purge};
use crate::message::Coding;
use crate::server::Reply;

/// Body of `GET /api/cache/{fileId}`: the cache entry, the fill in progress and the last purge.
#[derive(Serialize)]
struct CacheEntryView<'a> {
    file_id: &'a str,
    stored: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    response: Option<ResponseView>,
    /// Present while a fill fetches from the upstream.
    #[serde(skip_serializing_if = "Option::is_none")]
    fill: Option<FillView>,
    /// Present if the cache remembers an invalidation of this file or of everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_invalidation: Option<InvalidationView>,
}

#[derive(Serialize)]
struct ResponseView {
    status: u16,
    reuse: &'static str,
    age_seconds: f64,
    /// Seconds until the TTL ends; negative after its end. Present if the response is answered
    /// without a wait: fresh, or stale while it is revalidated.
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl_left_seconds: Option<f64>,
    /// Body size in bytes for each content coding that is stored.
    bytes: BTreeMap<&'static str, usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    etag: Option<String>,
}

#[derive(Serialize)]
struct FillView {
    waiting: usize,
}

#[derive(Serialize)]
struct InvalidationView {
    seconds_ago: f64,
    source: &'static str,
    kind: &'static str,
}

/// Body of the response to a purge.
#[derive(Debug, Deserialize, Serialize)]
pub struct PurgeResult {
    /// Id of the file, or `all`.
    pub purged: String,
    pub soft: bool,
    /// Number of stored responses that the purge affected. Approximate if everything is purged.
    pub responses: u64,
    /// Result in words.
    pub message: String,
}

pub(super) fn show(admin: &Admin, id: &str) -> Reply {
    let Ok(id) = FileId::parse(id) else { return bad_id() };
    let now = admin.clock().monotonic();
    let response = match admin.cache().lookup(&id, now) {
        Lookup::Absent => None,
        Lookup::Found { response, reuse } => Some(response_view(&response, reuse, now)),
    };
    let last_invalidation = admin.cache().last_invalidation(&id).map(|last| InvalidationView {
        seconds_ago: now.saturating_sub(last.at).as_secs_f64(),
        source: last.source,
        kind: last.mode.as_str(),
    });
    let fill = admin.cache().waiting(&id).map(|waiting| FillView { waiting });
    let stored = response.is_some();
    json(
        StatusCode::OK,
        &CacheEntryView { file_id: id.as_str(), stored, response, fill, last_invalidation },
    )
}

fn response_view(response: &StoredResponse, reuse: Reuse, now: Duration) -> ResponseView {
    let (reuse, ttl_left_seconds) = match reuse {
        Reuse::Fresh { ttl_left } => ("fresh", Some(ttl_left.as_secs_f64())),
        Reuse::StaleWhileRevalidate { stale_for } => {
            ("stale_while_revalidate", Some(-stale_for.as_secs_f64()))
        }
        Reuse::IfError => ("stale_if_error", None),
        Reuse::Expired => ("expired", None),
    };
    let bytes = Coding::ALL
        .into_iter()
        .filter_map(|coding| response.body_in(coding).map(|body| (coding.as_str(), body.len())));
    let etag = response.tag.map(|tag| tag.to_field_value(Coding::Identity));
    ResponseView {
        status: response.kind.status().as_u16(),
        reuse,
        age_seconds: response.age(now).as_secs_f64(),
        ttl_left_seconds,
        bytes: bytes.collect(),
        etag: etag.and_then(|tag| Some(tag.to_str().ok()?.to_owned())),
    }
}

pub(super) async fn purge(admin: &Admin, id: Option<&str>, uri: &Uri) -> Reply {
    let mode = match uri.query() {
        None | Some("" | "soft=false") => PurgeMode::Hard,
        Some("soft=true") => PurgeMode::Soft,
        Some(_) => {
            return problem(
                ErrorCode::BadRequest,
                "The query of the purge is not valid.",
                "The only parameter is soft, with the value true or false.",
            );
        }
    };
    let target = match id.map(FileId::parse) {
        None => Target::All,
        Some(Ok(id)) => Target::File(id),
        Some(Err(_)) => return bad_id(),
    };
    let responses = stored_responses(admin, &target);
    let purge = Purge { target, mode, source: InvalidationSource::Admin };
    if admin.gateway.invalidator.invalidate(purge).await.is_err() {
        let mut reply = problem(
            ErrorCode::PurgePartial,
            "The purge is done on this gateway, and the others could not be told yet.",
            "They are told as soon as the fleet's Redis can be reached. Send the purge again to \
             be sure.",
        );
        // A purge that is sent again is the same purge.
        reply.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
        return reply;
    }
    let purged = PurgeResult {
        purged: id.unwrap_or("all").to_owned(),
        soft: mode == PurgeMode::Soft,
        responses,
        message: purge_message(id, mode, responses),
    };
    json(StatusCode::OK, &purged)
}

fn stored_responses(admin: &Admin, target: &Target) -> u64 {
    match target {
        Target::All => admin.cache().usage().0,
        Target::File(id) => {
            let found = admin.cache().lookup(id, admin.clock().monotonic());
            u64::from(matches!(found, Lookup::Found { .. }))
        }
    }
}

/// Returns what a purge did, in words. A purge affects fetches in flight even if nothing is stored.
fn purge_message(id: Option<&str>, mode: PurgeMode, responses: u64) -> String {
    match (id, mode) {
        (None, PurgeMode::Hard) => format!("Removed everything: about {responses} responses."),
        (None, PurgeMode::Soft) => {
            format!("Marked everything stale: about {responses} responses.")
        }
        (Some(id), PurgeMode::Hard) if responses > 0 => format!("Removed {id}."),
        (Some(id), PurgeMode::Soft) if responses > 0 => format!("Marked {id} stale."),
        (Some(id), PurgeMode::Hard) => {
            format!("{id} was not stored here. Later requests do not use a fetch in flight.")
        }
        (Some(id), PurgeMode::Soft) => {
            format!("{id} was not stored here. A fetch in flight counts as stale.")
        }
    }
}

fn bad_id() -> Reply {
    problem(
        ErrorCode::BadRequest,
        "The path does not end with a valid file id.",
        "A file id is 1 to 64 of A-Z a-z 0-9 _ - and is not percent-encoded.",
    )
}
