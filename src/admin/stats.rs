//! Handler of `/api/stats`: the metrics of the last 15 minutes, for the dashboard and other
//! clients.

use http::StatusCode;
use serde::Serialize;

use super::replies::json;
use super::state::Admin;
use crate::server::Reply;
use crate::telemetry::{Capacity, FileCount, HISTORY_INTERVAL, Point, RecentEvent};

#[derive(Serialize)]
struct Stats {
    version: &'static str,
    /// Time of this response, in seconds of Unix time.
    now: u64,
    interval_seconds: u64,
    most: Capacity,
    points: Vec<Point>,
    /// The most frequent files of about the same period. Counts may be too high, never too low.
    top: Top,
    /// Recent log events, oldest first.
    events: Vec<RecentEvent>,
}

#[derive(Serialize)]
struct Top {
    requests: Vec<FileCount>,
    fills: Vec<FileCount>,
}

pub(super) fn show(admin: &Admin) -> Reply {
    let (points, requests, fills) = admin.metrics.recent();
    json(
        StatusCode::OK,
        &Stats {
            version: env!("CARGO_PKG_VERSION"),
            now: admin.clock().unix_time().as_secs(),
            interval_seconds: HISTORY_INTERVAL.as_secs(),
            most: admin.limits,
            points,
            top: Top { requests, fills },
            events: admin.log.as_ref().map(|log| log.recent().list()).unwrap_or_default(),
        },
    )
}
