//! Tests of `/api/stats`: the metrics of the last 15 minutes on the admin listener.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{FILE, Origin, Program, Reply, TestGateway, get, scratch, versions_of};

async fn stats_with_points(gateway: &TestGateway, count: usize) -> Value {
    let shown = async {
        loop {
            let stats = get(gateway.admin, "/api/stats").await.json();
            if stats["points"].as_array().unwrap().len() >= count {
                return stats;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), shown).await.expect("no point was taken")
}

#[tokio::test]
async fn each_interval_is_a_point_with_what_happened_in_it() {
    let origin = Origin::start().await;
    let list = r#"[{"filePath":"/images/car.jpg","versionInfo":{"id":"v1"}}]"#;
    origin.replies(&versions_of(FILE), Reply::json(200, list));
    origin.replies(&versions_of("broken"), Reply::json(500, "{}"));
    let more =
        "[limits]\nanonymous = { per_second = 1, burst = 6 }\n[server]\nmax_connections = 77";
    let gateway = TestGateway::configured(&origin, more);
    for _ in 0..4 {
        gateway.get(&versions_of(FILE)).await;
    }
    gateway.get(&versions_of("other")).await;
    gateway.get(&versions_of("broken")).await;
    assert_eq!(gateway.get(&versions_of(FILE)).await.status, 429);
    let stats = get(gateway.admin, "/api/stats").await.json();
    let top = json!({ "file": FILE, "count": 5, "error": 0, "path": "/images/car.jpg" });
    assert_eq!(stats["top"]["requests"][0], top);
    gateway.purge(&format!("/api/cache/{FILE}")).await;
    gateway.clock.advance(Duration::from_secs(5));
    let stats = stats_with_points(&gateway, 1).await;
    let point = &stats["points"][0];
    assert_eq!(point["requests"], json!({ "hit": 3, "miss": 3, "none": 1 }));
    assert_eq!((&point["failed"], &point["invalidations"]), (&json!(1), &json!(1)));
    assert_eq!(point["throttled"], json!({ "anonymous": 1 }));
    assert_eq!(point["errors"], json!({ "throttled": 1, "upstream_bad": 1 }));
    assert_eq!((&point["saved"], &point["auth_failures"]), (&json!(3), &json!({})));
    let caller = &stats["callers"][0];
    let counts = ["requests", "lookups", "hits", "failed", "unauthorized", "throttled"];
    assert_eq!(caller["caller"], "anonymous");
    assert_eq!(counts.map(|count| caller[count].as_u64().unwrap()), [7, 6, 3, 1, 0, 1]);
    assert_eq!(point["upstream"], json!({ "ok": 1, "not_found": 1, "bad": 1 }));
    assert!(point["hits"]["p50"].as_f64().unwrap() > 0.0, "{point}");
    assert!(point["resident_bytes"].as_u64().unwrap() > 1_000_000, "{point}");
    assert_eq!(point["cache_entries"], 1, "the other's 404");
    assert_eq!(stats["most"]["connections"], 77);
    let top = json!({ "file": FILE, "count": 5, "error": 0, "path": null });
    assert_eq!(stats["top"]["requests"][0], top, "its list is not stored any more");
    let fills = stats["top"]["fills"].as_array().unwrap();
    assert_eq!(fills.len(), 3, "{fills:?}");

    gateway.clock.advance(Duration::from_secs(5));
    let stats = stats_with_points(&gateway, 2).await;
    assert_eq!(stats["points"][1]["requests"], json!({}), "nothing since");
    assert_eq!(stats["points"][1]["hits"], Value::Null);
    gateway.finish().await;
}

/// Returns the values that a label may have by a matcher of a query of Prometheus.
fn matched<'a>(expression: &'a str, matcher: &str) -> Vec<&'a str> {
    let (_, after) = expression.split_once(matcher).expect(matcher);
    after.split('"').nth(1).unwrap().split('|').collect()
}

/// Returns the value of the Grafana panel for saved calls, over the text of `/metrics`.
fn saved_by_grafana(exposed: &str) -> u64 {
    let grafana: Value =
        serde_json::from_str(include_str!("../../deploy/grafana/ikgate.json")).unwrap();
    let mut panels = grafana["panels"].as_array().unwrap().iter();
    let panel = panels.find(|panel| panel["title"] == "Upstream calls saved").unwrap();
    let expression = panel["targets"][0]["expr"].as_str().unwrap();
    let (caches, routes) = (matched(expression, "cache=~"), matched(expression, "route=~"));
    assert_eq!(matched(expression, "status!~"), ["5..", "499"]);
    let counted = |line: &&str| {
        let has = |label: &str, values: &[&str]| {
            values.iter().any(|value| line.contains(&format!("{label}=\"{value}\"")))
        };
        let has_failed = line.contains("status=\"5") || line.contains("status=\"499\"");
        line.starts_with("ikgate_requests_total{")
            && has("cache", &caches)
            && has("route", &routes)
            && !has_failed
    };
    let values = exposed.lines().filter(counted).map(|line| line.rsplit_once(' ').unwrap().1);
    values.map(|value| value.parse::<u64>().unwrap()).sum()
}

#[tokio::test]
async fn an_outage_saves_no_calls_and_is_a_problem_with_its_cause() {
    let origin = Origin::start().await;
    origin.replies(&versions_of(FILE), Reply::json(200, "[1]"));
    let gateway =
        TestGateway::configured(&origin, "[limits]\nanonymous = { per_second = 99, burst = 99 }");
    for _ in 0..3 {
        gateway.get(&versions_of(FILE)).await;
    }
    let stats = get(gateway.admin, "/api/stats").await.json();
    assert_eq!(stats["problems"], json!([]));
    assert_eq!(stats["health"]["draining"], json!(false));
    let upstream = &stats["health"]["upstream"];
    let state = ["breaker", "private_key", "failing_since", "last_error"];
    let well = json!(["closed", "accepted", null, null]);
    assert_eq!(json!(state.map(|part| &upstream[part])), well);

    // Past the ttl and the window of stale-while-revalidate.
    gateway.clock.advance(Duration::from_secs(400));
    origin.replies(&versions_of(FILE), Reply::json(500, "{}"));
    for number in 0..10 {
        let broken = versions_of(&format!("broken-{number}"));
        origin.replies(&broken, Reply::json(500, "{}"));
        assert!(gateway.get(&broken).await.status >= 500);
    }
    assert_eq!(gateway.get(&versions_of(FILE)).await.status, 200);
    gateway.clock.advance(Duration::from_secs(5));
    let told = async {
        loop {
            let stats = get(gateway.admin, "/api/stats").await.json();
            let points = stats["points"].as_array().unwrap();
            let saved: u64 = points.iter().map(|point| point["saved"].as_u64().unwrap()).sum();
            if saved >= 3 {
                return (stats, saved);
            }
        }
    };
    let told = tokio::time::timeout(Duration::from_secs(20), told).await;
    let (stats, saved) = told.expect("the stale answer is in no point");
    assert_eq!(saved, 3, "two hits and one stale answer");
    assert_eq!(saved_by_grafana(&get(gateway.admin, "/metrics").await.body), saved);
    let last_error = &stats["health"]["upstream"]["last_error"];
    assert_eq!(last_error["cause"], "unexpected status 500 Internal Server Error");
    let problem = &stats["problems"][0];
    assert_eq!(
        (&problem["code"], &problem["severity"]),
        (&json!("upstream_bad"), &json!("critical"))
    );
    let cause = problem["cause"].as_str().unwrap();
    assert!(cause.contains("unexpected status 500") && cause.contains("% failed"), "{cause}");
    gateway.finish().await;
}

#[tokio::test]
async fn a_key_is_refused_after_a_401_and_untried_once_it_is_replaced() {
    let origin = Origin::start().await;
    let directory = scratch();
    let key = directory.path().join("imagekit.key");
    std::fs::write(&key, "private_old=").unwrap();
    let config = directory.path().join("ikgate.toml");
    let text = format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\n[admin]\nlisten = \"127.0.0.1:0\"\n\
         [upstream]\nurl = \"http://{}\"\nprivate_key_file = \"imagekit.key\"",
        origin.address
    );
    std::fs::write(&config, text).unwrap();
    let program = Program::serve_quietly(&config, &[]);
    let told = async || {
        let stats = get(program.admin, "/api/stats").await.json();
        let codes = stats["problems"].as_array().unwrap().iter();
        let codes: Vec<_> = codes.map(|problem| problem["code"].clone()).collect();
        (stats["health"]["upstream"]["private_key"].clone(), codes)
    };
    assert_eq!(told().await, (json!("untried"), vec![]));
    for file in ["a", "b"] {
        origin.replies(&versions_of(file), Reply::json(401, "{}"));
        assert_eq!(get(program.public, &versions_of(file)).await.status, 502);
    }
    assert_eq!(told().await, (json!("refused"), vec![json!("private_key_refused")]));
    std::fs::remove_file(&key).unwrap();
    // The probe reads the file.
    assert_eq!(get(program.admin, "/readyz").await.status, 503);
    let codes = vec![json!("private_key_unreadable"), json!("private_key_refused")];
    assert_eq!(told().await, (json!("refused"), codes));
    let metrics = get(program.admin, "/metrics").await.body;
    assert!(metrics.contains("\nikgate_private_key_readable 0\n"), "{metrics}");
    std::fs::write(&key, "private_new=").unwrap();
    assert_eq!(get(program.admin, "/readyz").await.status, 200);
    assert_eq!(told().await, (json!("untried"), vec![json!("private_key_untried")]));
    origin.replies(&versions_of("c"), Reply::json(200, "[]"));
    assert_eq!(get(program.public, &versions_of("c")).await.status, 200);
    assert_eq!(told().await, (json!("accepted"), vec![]));
    program.signal("TERM");
    assert_eq!(program.wait().0, Some(0));
}

#[tokio::test]
async fn a_point_says_how_it_stands_with_its_fleet() {
    let origin = Origin::start().await;
    let fleet = |point: &Value| {
        json!([point["cluster_state"], point["cluster_nodes"], point["cluster_pending_purges"]])
    };
    let alone = TestGateway::start(&origin);
    alone.purge(&format!("/api/cache/{FILE}")).await;
    alone.clock.advance(Duration::from_secs(5));
    let point = stats_with_points(&alone, 1).await["points"][0].clone();
    assert_eq!((fleet(&point), &point["cluster_lag_seconds"]), (json!([0, 0, 0]), &json!(0.0)));
    alone.finish().await;

    // No server listens on that port.
    let gateway = TestGateway::configured(&origin, "cluster.redis_url = \"redis://127.0.0.1:1\"");
    let path = format!("/api/cache/{FILE}");
    let purged = crate::support::send(gateway.admin, "DELETE", &path, &[]).await;
    assert_eq!((purged.status, &purged.json()["code"]), (503, &json!("purge_partial")));
    assert_eq!(purged.field("retry-after"), "1");
    gateway.clock.advance(Duration::from_secs(5));
    let point = stats_with_points(&gateway, 1).await["points"][0].clone();
    assert_eq!(fleet(&point), json!([2, 1, 1]));
    let stats = get(gateway.admin, "/api/stats").await.json();
    let (error, cause) = (&stats["health"]["fleet_error"], &stats["problems"][0]["cause"]);
    assert!(error.as_str().unwrap().contains("Connection refused"), "{error}");
    assert!(cause.as_str().unwrap().contains(error.as_str().unwrap()), "{cause}");
    gateway.finish().await;
}

#[tokio::test]
async fn a_flood_of_wrong_credentials_is_told_with_the_numbers_of_its_responses() {
    let origin = Origin::start().await;
    let more = "limits.auth_failures = { per_second = 1, burst = 40 }\n[[callers]]\nname = \"a\"\n\
                key_sha256 = \"0000000000000000000000000000000000000000000000000000000000000000\"";
    let gateway = TestGateway::configured(&origin, more);
    let mut statuses = Vec::new();
    for _ in 0..100 {
        let wrong = [("Authorization", "Bearer ikg_wrong")];
        statuses.push(gateway.send("GET", &versions_of(FILE), &wrong).await.status);
    }
    let count = |status| statuses.iter().filter(|seen| **seen == status).count();
    assert_eq!((count(401), count(429)), (40, 60));
    gateway.clock.advance(Duration::from_secs(5));
    let stats = stats_with_points(&gateway, 1).await;
    let expected = "100 credentials were not accepted in the last minute, most often as \
                    unknown_key; 60 requests got 429, because their addresses had spent \
                    limits.auth_failures.";
    assert_eq!(stats["problems"][0]["cause"], expected, "{stats}");
    gateway.finish().await;
}

#[tokio::test]
async fn what_was_said_last_is_there_without_what_a_caller_can_cause_at_will() {
    let directory = scratch();
    let config = directory.path().join("ikgate.toml");
    let text = "[server]\nlisten = [\"127.0.0.1:0\"]\n[admin]\nlisten = \"127.0.0.1:0\"\n\
                [upstream]\nurl = \"http://127.0.0.1:1\"\n[telemetry]\nlog = \"error\"";
    std::fs::write(&config, text).unwrap();
    let program = Program::serve_quietly(&config, &[("IMAGEKIT_PRIVATE_KEY", "private_canary=")]);
    get(program.public, "/nothing").await;
    crate::support::send(program.admin, "DELETE", "/api/cache", &[]).await;
    let stats = get(program.admin, "/api/stats").await.json();
    let events = stats["events"].as_array().unwrap();
    let said: Vec<_> = events.iter().map(|event| event["text"].as_str().unwrap()).collect();
    assert!(said.contains(&"purged everything source=admin mode=hard"), "{said:?}");
    assert!(said.iter().any(|text| text.starts_with("ready")), "{said:?}");
    assert!(!stats.to_string().contains("canary"), "{stats}");
    assert_eq!(events.len(), said.len());
    program.signal("TERM");
    assert_eq!(program.wait().0, Some(0));
}
