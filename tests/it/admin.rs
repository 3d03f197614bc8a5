//! Tests of the admin listener: its operations, and the requests that its access control refuses.

use crate::support::{FILE, Origin, Reply, TestGateway, get, scratch, send, versions_of};

#[tokio::test]
async fn the_cache_shows_what_it_holds() {
    let origin = Origin::start().await;
    let path = versions_of(FILE);
    origin.replies(&path, Reply::json(200, "[1,2]"));
    let gateway = TestGateway::start(&origin);
    let api = format!("/api/cache/{FILE}");
    let absent = get(gateway.admin, &api).await;
    assert_eq!((absent.status, &absent.json()["stored"]), (200, &serde_json::json!(false)));

    let tag = gateway.get(&path).await.field("etag").to_owned();
    gateway.clock.advance(std::time::Duration::from_secs(20));
    let stored = get(gateway.admin, &api).await.json();
    let expected = serde_json::json!({
        "file_id": FILE,
        "stored": true,
        "response": {
            "status": 200, "reuse": "fresh", "age_seconds": 20.0, "ttl_left_seconds": 40.0,
            "bytes": { "identity": 5 }, "etag": tag,
        },
    });
    assert_eq!(stored, expected);

    gateway.clock.advance(std::time::Duration::from_secs(50));
    let stale = get(gateway.admin, &api).await.json();
    assert_eq!(stale["response"]["reuse"], "stale_while_revalidate");
    assert_eq!(stale["response"]["ttl_left_seconds"], -10.0);

    let purged = gateway.purge(&api).await.json();
    let expected = serde_json::json!({
        "purged": FILE, "soft": false, "responses": 1, "message": format!("Removed {FILE}."),
    });
    assert_eq!(purged, expected);
    gateway.clock.advance(std::time::Duration::from_secs(3));
    let expected = serde_json::json!({
        "file_id": FILE,
        "stored": false,
        "last_invalidation": { "seconds_ago": 3.0, "source": "admin", "kind": "hard" },
    });
    assert_eq!(get(gateway.admin, &api).await.json(), expected);
    let purged = gateway.purge(&format!("{api}?soft=true")).await.json();
    assert_eq!(purged["responses"], 0);
    assert!(purged["message"].as_str().unwrap().contains("was not stored"), "{purged}");
    gateway.purge("/api/cache?soft=true").await;
    let last = &get(gateway.admin, &api).await.json()["last_invalidation"];
    assert_eq!(*last, serde_json::json!({ "seconds_ago": 0.0, "source": "admin", "kind": "soft" }));
    gateway.finish().await;
}

#[tokio::test]
async fn paths_methods_and_queries_that_do_not_exist_are_refused() {
    let origin = Origin::start().await;
    let gateway = TestGateway::start(&origin);
    let table = [
        ("GET", "/index.html", 404, "no_route"),
        ("GET", "/api/cache", 405, "method_not_allowed"),
        ("POST", "/livez", 405, "method_not_allowed"),
        ("PUT", "/api/cache/a", 405, "method_not_allowed"),
        ("GET", "/api/cache/a%2Fb", 400, "bad_request"),
        ("DELETE", "/api/cache/", 400, "bad_request"),
        ("DELETE", "/api/cache/a?soft=maybe", 400, "bad_request"),
    ];
    for (method, target, status, code) in table {
        let answer = send(gateway.admin, method, target, &[]).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{method} {target}");
        assert!(answer.field("content-security-policy").starts_with("default-src 'none'"));
    }
    gateway.finish().await;
}

#[tokio::test]
async fn a_page_in_an_operators_browser_can_neither_purge_nor_read_by_another_name() {
    let origin = Origin::start().await;
    let path = versions_of(FILE);
    origin.replies(&path, Reply::json(200, "[]"));
    let gateway = TestGateway::start(&origin);
    gateway.get(&path).await;
    let foreign = [("Origin", "https://evil.example.com")];
    let refused = send(gateway.admin, "DELETE", "/api/cache", &foreign).await;
    assert_eq!((refused.status, refused.code().as_str()), (403, "forbidden"));
    let mut rebound = crate::support::Connection::open(gateway.admin).await;
    rebound.write("GET /metrics HTTP/1.1\r\nHost: evil.example.com\r\n\r\n").await;
    assert_eq!(rebound.read("GET").await.unwrap().status, 421);
    assert!(gateway.get(&path).await.field("cache-status").contains("hit"));
    drop(rebound);
    gateway.finish().await;
}

#[tokio::test]
async fn a_token_is_needed_to_purge_where_one_is_set() {
    let directory = scratch();
    let file = directory.path().join("admin.token");
    std::fs::write(&file, "t0ken\n").unwrap();
    let origin = Origin::start().await;
    let more = format!("admin.token_file = \"{}\"", file.display());
    let gateway = TestGateway::configured(&origin, &more);
    let refused = send(gateway.admin, "DELETE", "/api/cache", &[]).await;
    assert_eq!((refused.status, refused.field("www-authenticate")), (401, "Bearer"));
    let token = [("Authorization", "Bearer t0ken")];
    assert_eq!(send(gateway.admin, "DELETE", "/api/cache", &token).await.status, 200);
    assert_eq!(get(gateway.admin, "/api/cache/a").await.status, 200);
    gateway.finish().await;
}

#[tokio::test]
async fn it_is_ready_while_the_private_key_can_be_read() {
    let directory = scratch();
    let file = directory.path().join("imagekit.key");
    std::fs::write(&file, "private_a=").unwrap();
    let config = directory.path().join("ikgate.toml");
    let text = format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\n[admin]\nlisten = \"127.0.0.1:0\"\n\
         [upstream]\nprivate_key_file = \"{}\"\nurl = \"http://127.0.0.1:1\"",
        file.display()
    );
    std::fs::write(&config, text).unwrap();
    let program = crate::support::Program::serve(&config, &[]);
    assert_eq!(get(program.admin, "/livez").await.status, 200);
    assert_eq!(get(program.admin, "/readyz").await.status, 200);
    std::fs::remove_file(&file).unwrap();
    assert_eq!(get(program.admin, "/readyz").await.status, 503);
    assert_eq!(get(program.admin, "/livez").await.status, 200);
}

#[tokio::test]
async fn the_configuration_in_force_is_shown_without_secrets() {
    let origin = Origin::start().await;
    let gateway = TestGateway::configured(&origin, "cache.ttl = \"7s\"");
    let shown = get(gateway.admin, "/api/config").await;
    assert_eq!(shown.status, 200);
    let config = shown.json();
    assert_eq!(config["cache"]["ttl"], "7s");
    assert_eq!(config["cache"]["not_found_ttl"], "10s");
    assert_eq!(config["upstream"]["url"], format!("http://{}", origin.address));
    assert_eq!(config["upstream"]["private_key"], "Secret(..)");
    assert!(!shown.body.contains("canary"), "{shown:#?}");
    assert_eq!(send(gateway.admin, "DELETE", "/api/config", &[]).await.status, 405);
    gateway.finish().await;
}

#[tokio::test]
async fn both_listeners_are_described_in_the_version_that_runs() {
    let gateway = TestGateway::start(&Origin::start().await);
    let shown = get(gateway.admin, "/openapi.json").await;
    assert_eq!((shown.status, shown.field("content-type")), (200, "application/json"));
    let description = shown.json();
    assert_eq!(description["openapi"], "3.1.0");
    assert_eq!(description["info"]["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(send(gateway.admin, "POST", "/openapi.json", &[]).await.status, 405);
    gateway.finish().await;
}

#[tokio::test]
async fn the_dashboard_is_served_whole_and_loads_nothing_from_elsewhere() {
    let gateway = TestGateway::start(&Origin::start().await);
    let page = get(gateway.admin, "/").await;
    assert_eq!((page.status, page.field("content-type")), (200, "text/html; charset=utf-8"));
    let policy = page.field("content-security-policy");
    assert!(
        policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self'"),
        "{policy}"
    );
    assert!(!policy.contains("unsafe"), "{policy}");
    let loaded: Vec<_> = page.body.split('"').filter(|text| text.starts_with("/assets/")).collect();
    assert_eq!(loaded.len(), 4, "{loaded:?}");
    for path in loaded {
        let asset = get(gateway.admin, path).await;
        assert_eq!(
            (asset.status, asset.field("x-content-type-options")),
            (200, "nosniff"),
            "{path}"
        );
        assert!(!asset.body.is_empty(), "{path}");
    }
    assert!(!page.body.contains("http:") && !page.body.contains("https:"), "{}", page.body);
    assert_eq!(send(gateway.admin, "DELETE", "/", &[]).await.status, 405);
    gateway.finish().await;
}
