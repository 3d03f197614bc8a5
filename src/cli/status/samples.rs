//! States of a gateway for tests.

use serde_json::{Value, json};

use super::snapshot::{Readiness, Snapshot, snapshot};
use crate::telemetry::Point;

pub(super) const NOW: u64 = 1_764_168_000;

/// Returns the state of a gateway that is well and has traffic.
pub(super) fn well() -> Snapshot {
    of(&body())
}

/// Returns the state with this body of `/api/stats`.
pub(super) fn of(body: &Value) -> Snapshot {
    let readiness = Readiness { is_ready: true, readiness: "ready".to_owned() };
    snapshot(readiness, body.to_string().as_bytes()).unwrap()
}

/// Returns the body of `/api/stats` of a gateway that is well and has traffic.
pub(super) fn body() -> Value {
    let requests = [("hit", 980), ("miss", 15), ("collapsed", 5)];
    let point = Point {
        requests: requests.map(|(name, count)| (name.to_owned(), count)).into(),
        saved: 985,
        connections: 12,
        cache_bytes: 1 << 20,
        cache_entries: 812,
        resident_bytes: 45 << 20,
        ..Point::default()
    };
    json!({
        "version": "0.1.0",
        "now": NOW,
        "uptime_seconds": 11_520,
        "interval_seconds": 5,
        "most": { "cache_bytes": 256 << 20, "connections": 10_000, "tracked_callers": 100_000 },
        "health": {
            "upstream": {
                "breaker": "closed", "private_key": "accepted", "private_key_file": null,
                "key_refusals": 0, "key_refused_since": null,
                "budget_available": 100,
                "failing_since": null, "failed_calls": 0, "last_error": null,
            },
            "fleet": "none", "pending_purges": 0, "draining": false, "connections": 3,
            "certificate_expires": null,
        },
        "problems": [],
        "points": vec![point; 180],
        "callers": [
            { "caller": "web-team", "requests": 180_000, "lookups": 180_000, "hits": 176_400,
              "failed": 0, "unauthorized": 0, "throttled": 0 },
            { "caller": "anonymous", "requests": 10, "lookups": 0, "hits": 0,
              "failed": 0, "unauthorized": 3, "throttled": 7 },
        ],
        "top": {
            "requests": [{ "file": "64a1b2c3d4e5f60718293a4b", "count": 90_000, "error": 120,
                           "path": null }],
            "fills": [{ "file": "64a1b2c3d4e5f60718293a4c", "count": 7, "error": 0,
                        "path": "/images/red-car.jpg" }],
        },
        "events": [{ "at": NOW - 60, "level": "info", "text": "ready" }],
    })
}
