//! Tests of the metrics: every request, call and purge is counted once, and no label value comes
//! from a caller.

use crate::support::{FILE, Origin, Reply, TestGateway, get, run, send, versions_of};

/// Metrics without a series before their first event, or without TLS. Counters of other events that
/// did not happen are 0, not absent.
const ABSENT: [&str; 2] = ["ikgate_throttled_total", "ikgate_tls_expiry_seconds"];

/// Returns the names of all metrics in the reference, in alphabetical order.
fn declared() -> Vec<String> {
    let page = String::from_utf8(run(&["reference", "metrics"], &[]).stdout).unwrap();
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `"));
    let names = rows.filter_map(|row| row.split('`').next());
    let is_metric = |name: &&str| name.starts_with("ikgate_") || name.starts_with("process_");
    let mut names: Vec<_> = names.filter(is_metric).map(str::to_owned).collect();
    names.sort_unstable();
    names
}

#[tokio::test]
async fn a_mixed_workload_is_counted_exactly() {
    let origin = Origin::start().await;
    let path = versions_of(FILE);
    origin.replies(&path, Reply::json(200, "[1,2]"));
    let gateway = TestGateway::start(&origin);
    for _ in 0..3 {
        gateway.get(&path).await;
    }
    gateway.send("GET", &path, &[("If-None-Match", "*")]).await;
    gateway.send("HEAD", &path, &[]).await;
    gateway.get(&versions_of("canary")).await;
    gateway.get("/canary").await;
    gateway.send("CANARY", &path, &[("Authorization", "canary")]).await;
    gateway.send("GET", &path, &[("Authorization", "Bearer canary")]).await;
    gateway.purge(&format!("/api/cache/{FILE}")).await;
    gateway.purge("/api/cache?soft=true").await;

    let series = |labels: &str| format!("ikgate_requests_total{{{labels}}}");
    let table = [
        (series("route=\"list\",caller=\"anonymous\",status=\"200\",cache=\"miss\""), 1.0),
        (series("route=\"list\",caller=\"anonymous\",status=\"200\",cache=\"hit\""), 3.0),
        (series("route=\"list\",caller=\"anonymous\",status=\"304\",cache=\"hit\""), 1.0),
        (series("route=\"list\",caller=\"anonymous\",status=\"404\",cache=\"miss\""), 1.0),
        (series("route=\"list\",caller=\"none\",status=\"401\",cache=\"none\""), 1.0),
        (series("route=\"none\",caller=\"none\",status=\"404\",cache=\"none\""), 1.0),
        (series("route=\"none\",caller=\"none\",status=\"405\",cache=\"none\""), 1.0),
        ("ikgate_auth_failures_total{reason=\"unknown_key\"}".to_owned(), 1.0),
        ("ikgate_upstream_requests_total{outcome=\"ok\"}".to_owned(), 1.0),
        ("ikgate_upstream_requests_total{outcome=\"not_found\"}".to_owned(), 1.0),
        ("ikgate_upstream_duration_seconds_count".to_owned(), 2.0),
        ("ikgate_invalidations_total{source=\"admin\",kind=\"hard\"}".to_owned(), 1.0),
        ("ikgate_invalidations_total{source=\"admin\",kind=\"soft\"}".to_owned(), 1.0),
        ("ikgate_request_duration_seconds_count{route=\"list\",cache=\"hit\"}".to_owned(), 4.0),
        ("ikgate_cache_entries".to_owned(), 1.0),
        ("ikgate_private_key_age_seconds".to_owned(), 0.0),
        ("ikgate_limiter_tracked_callers".to_owned(), 1.0),
        ("ikgate_fills_in_progress".to_owned(), 0.0),
        (format!("ikgate_build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION")), 1.0),
    ];
    for (series, value) in table {
        assert_eq!(gateway.metric(&series).await, Some(value), "{series}");
    }
    for series in [
        "process_cpu_seconds_total",
        "process_resident_memory_bytes",
        "process_open_fds",
        "process_start_time_seconds",
    ] {
        assert!(gateway.metric(series).await.is_some_and(|value| value > 0.0), "{series}");
    }
    let exposed = get(gateway.admin, "/metrics").await;
    assert_eq!(exposed.field("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    let requests = exposed.body.lines().filter(|line| line.starts_with("ikgate_requests_total{"));
    let total: f64 =
        requests.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum();
    assert!((total - 9.0).abs() < f64::EPSILON, "{}", exposed.body);
    assert!(!exposed.body.to_lowercase().contains("canary"), "{}", exposed.body);

    let families = exposed.body.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let mut families: Vec<_> = families.map(|line| line.split(' ').next().unwrap()).collect();
    families.sort_unstable();
    let declared = declared();
    let expected: Vec<_> =
        declared.iter().filter(|name| !ABSENT.contains(&name.as_str())).collect();
    assert_eq!(families, expected, "{}", exposed.body);

    let open = [("Accept", "application/openmetrics-text; version=1.0.0")];
    let open = send(gateway.admin, "GET", "/metrics", &open).await;
    assert!(open.field("content-type").starts_with("application/openmetrics-text"));
    assert!(open.body.ends_with("# EOF\n"));
    gateway.finish().await;
}

#[tokio::test]
async fn a_client_that_leaves_before_the_answer_is_counted_too() {
    let origin = Origin::start().await;
    let path = versions_of(FILE);
    origin.hold(&path);
    let gateway = TestGateway::start(&origin);
    let mut connection = crate::support::Connection::open(gateway.public).await;
    connection.write(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
    origin.has_seen(&path, 1).await;
    connection.reset();
    gateway.has_waiting(FILE, 0).await;
    let gone =
        "ikgate_requests_total{route=\"list\",caller=\"anonymous\",status=\"499\",cache=\"none\"}";
    assert_eq!(gateway.metric(gone).await, Some(1.0));
    origin.release(&path);
    gateway.finish().await;
}
