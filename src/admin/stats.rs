//! Handler of `/api/stats`: the metrics of the last 15 minutes, for the dashboard and other
//! clients.

use http::StatusCode;
use serde::Serialize;

use super::health::Health;
use super::problems::{CurrentProblem, current_problems};
use super::replies::json;
use super::state::Admin;
use crate::cache::Lookup;
use crate::file_id::FileId;
use crate::server::Reply;
use crate::telemetry::{
    CallerRow, FileCount, GaugeLimits, HISTORY_INTERVAL, Point, RecentEvent, RecentMetrics,
};

#[derive(Serialize)]
struct Stats {
    version: &'static str,
    /// Time of this response, in seconds of Unix time.
    now: u64,
    uptime_seconds: u64,
    interval_seconds: u64,
    most: GaugeLimits,
    health: Health,
    /// Current problems, the most severe first.
    problems: Vec<CurrentProblem>,
    points: Vec<Point>,
    /// Callers with the most requests.
    callers: Vec<CallerRow>,
    /// The most frequent files of about the same period.
    top: Top,
    /// Recent log events, oldest first.
    events: Vec<RecentEvent>,
}

#[derive(Serialize)]
struct Top {
    requests: Vec<TopFile>,
    fills: Vec<TopFile>,
}

#[derive(Serialize)]
struct TopFile {
    #[serde(flatten)]
    count: FileCount,
    /// Path of the file, if its list is stored here and states one.
    path: Option<String>,
}

pub(super) fn show(admin: &Admin) -> Reply {
    let RecentMetrics { points, callers, requested, fetched } = admin.metrics.recent();
    let now = admin.clock().unix_time().as_secs();
    let health = admin.health(&admin.gauge_values());
    json(
        StatusCode::OK,
        &Stats {
            version: env!("CARGO_PKG_VERSION"),
            now,
            uptime_seconds: admin.clock().uptime().as_secs(),
            interval_seconds: HISTORY_INTERVAL.as_secs(),
            most: admin.limits,
            problems: current_problems(&health, &points, now),
            health,
            points,
            callers,
            top: Top { requests: with_paths(admin, requested), fills: with_paths(admin, fetched) },
            events: admin.log.as_ref().map(|log| log.recent().list()).unwrap_or_default(),
        },
    )
}

fn with_paths(admin: &Admin, files: Vec<FileCount>) -> Vec<TopFile> {
    let now = admin.clock().monotonic();
    let path = |file: &str| match admin.cache().lookup(&FileId::parse(file).ok()?, now) {
        Lookup::Found { response, .. } => response.file_path(),
        Lookup::Absent => None,
    };
    files.into_iter().map(|count| TopFile { path: path(&count.file), count }).collect()
}
