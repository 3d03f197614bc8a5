//! `/api/cache`: what is stored for a file, and how to be rid of it.

use http::{StatusCode, Uri};
use serde::Serialize;

use super::{Admin, Reply, json, problem};
use crate::cache::{Force, Kind, Lookup, Target};
use crate::file_id::FileId;
use crate::invalidation::InvalidationSource;

/// What the cache knows of one file.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
struct Shown<'a> {
    file_id: &'a str,
    stored: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    response: Option<ShownResponse>,
    /// Present while the upstream is being asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    fill: Option<ShownFill>,
}

#[derive(Serialize)]
struct ShownResponse {
    status: u16,
    fresh: bool,
    age_seconds: f64,
    ttl_left_seconds: f64,
    body_bytes: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    etag: Option<String>,
}

#[derive(Serialize)]
struct ShownFill {
    waiting: usize,
}

#[derive(Serialize)]
struct Purged<'a> {
    purged: &'a str,
    soft: bool,
}

pub(super) fn show(admin: &Admin, id: &str) -> Reply {
    let Ok(id) = FileId::parse(id) else { return bad_id() };
    let now = admin.clock().monotonic();
    let found = match admin.cache().lookup(&id, now) {
        Lookup::Absent => None,
        Lookup::Fresh { response, ttl_left } => Some((response, Some(ttl_left))),
        Lookup::Stale { response } => Some((response, None)),
    };
    let response = found.map(|(response, ttl_left)| ShownResponse {
        status: match response.kind {
            Kind::BadRequest => 400,
            Kind::List => 200,
            Kind::NotFound => 404,
        },
        fresh: ttl_left.is_some(),
        age_seconds: response.age(now).as_secs_f64(),
        ttl_left_seconds: ttl_left.unwrap_or_default().as_secs_f64(),
        body_bytes: response.body.len(),
        etag: response
            .tag
            .as_ref()
            .and_then(|tag| Some(tag.as_field_value().to_str().ok()?.to_owned())),
    });
    let fill = admin.cache().waiting(&id).map(|waiting| ShownFill { waiting });
    let shown = Shown { file_id: id.as_str(), stored: response.is_some(), response, fill };
    json(StatusCode::OK, &shown)
}

pub(super) fn purge(admin: &Admin, id: Option<&str>, uri: &Uri) -> Reply {
    let force = match uri.query() {
        None | Some("" | "soft=false") => Force::Hard,
        Some("soft=true") => Force::Soft,
        Some(_) => {
            return problem(
                StatusCode::BAD_REQUEST,
                "bad_request",
                "The query cannot be read.",
                "The one parameter is soft=true.",
            );
        }
    };
    let target = match id.map(FileId::parse) {
        None => Target::All,
        Some(Ok(id)) => Target::File(id),
        Some(Err(_)) => return bad_id(),
    };
    admin.invalidator.invalidate(&target, force, InvalidationSource::Admin);
    let purged = Purged { purged: id.unwrap_or("all"), soft: force == Force::Soft };
    json(StatusCode::OK, &purged)
}

fn bad_id() -> Reply {
    problem(
        StatusCode::BAD_REQUEST,
        "bad_request",
        "That is not a file id.",
        "A file id is 1 to 64 of A-Z a-z 0-9 _ - and is not percent-encoded.",
    )
}
