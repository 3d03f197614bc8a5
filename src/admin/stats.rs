//! Handler of `/api/stats`: the metrics of the last 15 minutes, for the dashboard, `ikgate status`
//! and other clients.

use std::borrow::Cow;

use http::StatusCode;
use serde::{Deserialize, Serialize};

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

/// Body of `/api/stats`.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Stats {
    pub version: Cow<'static, str>,
    /// Time of this response, in seconds of Unix time.
    pub now: u64,
    pub uptime_seconds: u64,
    pub interval_seconds: u64,
    pub most: GaugeLimits,
    pub health: Health,
    /// Current problems, the most severe first.
    pub problems: Vec<CurrentProblem>,
    pub points: Vec<Point>,
    /// Callers with the most requests.
    pub callers: Vec<CallerRow>,
    /// The most frequent files of about the same period.
    pub top: TopFiles,
    /// Recent log events, oldest first.
    pub events: Vec<RecentEvent>,
}

/// Files with the most requests, and those with the most calls to ImageKit.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct TopFiles {
    pub requests: Vec<TopFile>,
    pub fills: Vec<TopFile>,
}

/// File with its count and its path.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct TopFile {
    #[serde(flatten)]
    pub count: FileCount,
    /// Path of the file, if its list is stored here and states one.
    pub path: Option<String>,
}

pub(super) fn show(admin: &Admin) -> Reply {
    let RecentMetrics { points, callers, requested, fetched } = admin.metrics.recent();
    let now = admin.clock().unix_time().as_secs();
    let health = admin.health(&admin.gauge_values());
    json(
        StatusCode::OK,
        &Stats {
            version: env!("CARGO_PKG_VERSION").into(),
            now,
            uptime_seconds: admin.clock().uptime().as_secs(),
            interval_seconds: HISTORY_INTERVAL.as_secs(),
            most: admin.limits,
            problems: current_problems(&health, &points, now),
            health,
            points,
            callers,
            top: TopFiles {
                requests: with_paths(admin, requested),
                fills: with_paths(admin, fetched),
            },
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
