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
    origin.replies(&versions_of(FILE), Reply::json(200, "[1]"));
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
    gateway.purge(&format!("/api/cache/{FILE}")).await;
    gateway.clock.advance(Duration::from_secs(5));
    let stats = stats_with_points(&gateway, 1).await;
    let point = &stats["points"][0];
    assert_eq!(point["requests"], json!({ "hit": 3, "miss": 3, "none": 1 }));
    assert_eq!((&point["failed"], &point["invalidations"]), (&json!(1), &json!(1)));
    assert_eq!(point["throttled"], json!({ "anonymous": 1 }));
    assert_eq!(point["upstream"], json!({ "ok": 1, "not_found": 1, "bad": 1 }));
    assert!(point["hits"]["p50"].as_f64().unwrap() > 0.0, "{point}");
    assert!(point["resident_bytes"].as_u64().unwrap() > 1_000_000, "{point}");
    assert_eq!(point["cache_entries"], 1, "the other's 404");
    assert_eq!(stats["most"]["connections"], 77);
    assert_eq!(stats["top"]["requests"][0], json!({ "file": FILE, "count": 5, "error": 0 }));
    let fills = stats["top"]["fills"].as_array().unwrap();
    assert_eq!(fills.len(), 3, "{fills:?}");

    gateway.clock.advance(Duration::from_secs(5));
    let stats = stats_with_points(&gateway, 2).await;
    assert_eq!(stats["points"][1]["requests"], json!({}), "nothing since");
    assert_eq!(stats["points"][1]["hits"], Value::Null);
    gateway.finish().await;
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
    gateway.clock.advance(Duration::from_secs(5));
    let point = stats_with_points(&gateway, 1).await["points"][0].clone();
    assert_eq!(fleet(&point), json!([2, 1, 1]));
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
    assert!(said.iter().any(|text| text.starts_with("purged everything")), "{said:?}");
    assert!(said.iter().any(|text| text.starts_with("ready")), "{said:?}");
    assert!(!stats.to_string().contains("canary"), "{stats}");
    assert_eq!(events.len(), said.len());
    program.signal("TERM");
    assert_eq!(program.wait().0, Some(0));
}
