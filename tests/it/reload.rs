//! Tests of live reload: the keys that change, the state that stays, and configurations that are
//! refused.

use std::path::Path;
use std::time::Duration;

use crate::support::signers::Signer;
use crate::support::{
    Connection, FILE, Origin, Program, Reply, TestGateway, scratch, secured, versions_of,
};

fn caller(name: &str, key: &str, quota: &str) -> String {
    let digest = ikgate::caller::KeyDigest::of(key);
    format!("[[callers]]\nname = \"{name}\"\nkey_sha256 = \"{digest}\"\nquota = {quota}\n")
}

async fn started(more: &str) -> (Origin, TestGateway, String) {
    let origin = Origin::start().await;
    let path = versions_of(FILE);
    origin.replies(&path, Reply::json(200, "[]"));
    let gateway = TestGateway::configured(&origin, more);
    (origin, gateway, path)
}

#[tokio::test]
async fn callers_come_go_and_keep_what_they_have_spent() {
    const QUOTA: &str = "{ per_second = 1, burst = 3 }";
    let both = caller("one", "ikg_one", QUOTA) + &caller("two", "ikg_two", QUOTA);
    let (_origin, mut gateway, path) = started(&both).await;
    let ask = async |gateway: &TestGateway, key: &str| {
        let value = format!("Bearer {key}");
        let answer = gateway.send("GET", &path, &[("Authorization", &value)]).await;
        (answer.status, answer.find("ratelimit").map(str::to_owned))
    };
    let left = |name: &str, left: u32, full: u32| Some(format!("\"{name}\";r={left};t={full}"));
    assert_eq!(ask(&gateway, "ikg_one").await, (200, left("one", 2, 1)));
    assert_eq!(ask(&gateway, "ikg_two").await, (200, left("two", 2, 1)));
    // Caller one is removed, three is inserted before two, and two gets a second key.
    let third = caller("three", "ikg_three", QUOTA);
    let two = format!(
        "[[callers]]\nname = \"two\"\nkey_sha256 = [\"{}\", \"{}\"]\nquota = {QUOTA}\n",
        ikgate::caller::KeyDigest::of("ikg_two"),
        ikgate::caller::KeyDigest::of("ikg_new"),
    );
    assert_eq!(gateway.reload(&(third + &two)), Vec::<String>::new());
    assert_eq!(ask(&gateway, "ikg_one").await, (401, None));
    assert_eq!(ask(&gateway, "ikg_three").await, (200, left("three", 2, 1)));
    assert_eq!(ask(&gateway, "ikg_two").await, (200, left("two", 1, 2)));
    assert_eq!(ask(&gateway, "ikg_new").await, (200, left("two", 0, 3)));
    assert_eq!(ask(&gateway, "ikg_new").await, (429, left("two", 0, 3)));
    // Metrics continue under the same names.
    let counted = async |name: &str| {
        let series = |cache: &str| {
            let labels = format!("route=\"list\",caller=\"{name}\",status=\"200\"");
            format!("ikgate_requests_total{{{labels},cache=\"{cache}\"}}")
        };
        let hits = gateway.metric(&series("hit")).await.unwrap_or_default();
        Some(hits + gateway.metric(&series("miss")).await.unwrap_or_default())
    };
    assert_eq!(counted("one").await, Some(1.0));
    assert_eq!(counted("two").await, Some(3.0));
    assert_eq!(counted("three").await, Some(1.0));
    gateway.finish().await;
}

#[tokio::test]
async fn a_faster_quota_shortens_the_wait_at_once_and_refills_no_quota() {
    let quota = |text: &str| format!("limits.anonymous = {text}");
    let (_origin, mut gateway, path) = started(&quota("{ per_second = 1, burst = 20 }")).await;
    for _ in 0..20 {
        assert_eq!(gateway.get(&path).await.status, 200);
    }
    assert_eq!(gateway.get(&path).await.field("retry-after-ms"), "1000");
    gateway.reload(&quota("{ per_second = 2, burst = 1 }"));
    let throttled = gateway.get(&path).await;
    assert_eq!((throttled.status, throttled.field("retry-after-ms")), (429, "500"));
    assert_eq!(throttled.field("ratelimit-policy"), "\"anonymous\";q=1;w=1");
    gateway.clock.advance(Duration::from_millis(500));
    assert_eq!(gateway.get(&path).await.status, 200);
    assert_eq!(gateway.get(&path).await.status, 429);
    gateway.reload("limits.anonymous = false");
    assert_eq!(gateway.get(&path).await.status, 401);
    gateway.reload(&quota("{ per_second = 2, burst = 1 }"));
    assert_eq!(gateway.get(&path).await.status, 429, "still spent");
    gateway.finish().await;
}

#[tokio::test]
async fn ttl_windows_origins_and_privacy_change_live() {
    let (origin, mut gateway, path) = started("cache.ttl = \"60s\"").await;
    let status = async |gateway: &TestGateway, target: &str| {
        gateway.get(target).await.field("cache-status").to_owned()
    };
    gateway.get(&path).await;
    assert_eq!(status(&gateway, &path).await, "ikgate; hit; ttl=60");
    let shorter = "[cache]\nttl = \"10s\"\nstale_while_revalidate = \"5s\"\n\
                   stale_if_error = \"0s\"\nbrowser_max_age = \"1h\"\nexpose_private = true\n\
                   [cors]\nallowed_origins = [\"https://app.example.com\"]";
    assert_eq!(gateway.reload(shorter), Vec::<String>::new());
    // A stored list keeps its TTL; a list that is fetched from now on has the new one.
    assert_eq!(status(&gateway, &path).await, "ikgate; hit; ttl=60");
    let other = versions_of("other");
    origin.replies(&other, Reply::json(200, "[{\"isPrivateFile\":true}]"));
    let fetched = gateway.send("GET", &other, &[("Origin", "https://app.example.com")]).await;
    assert_eq!(fetched.status, 200, "{fetched:#?}");
    assert_eq!(fetched.field("access-control-allow-origin"), "https://app.example.com");
    assert_eq!(fetched.field("cache-control"), "private, max-age=10");
    gateway.clock.advance(Duration::from_secs(14));
    assert_eq!(status(&gateway, &other).await, "ikgate; hit; ttl=-4");
    gateway.is_settled("other").await;
    // The stale windows are the new ones for all stored lists.
    gateway.clock.advance(Duration::from_secs(51));
    assert!(status(&gateway, &path).await.starts_with("ikgate; fwd=stale; fwd-status=200"));
    gateway.finish().await;
}

#[tokio::test]
async fn a_request_that_waits_is_answered_by_the_rules_it_came_under() {
    let (origin, mut gateway, _path) = started(&caller("one", "ikg_one", "{ burst = 3 }")).await;
    let slow = versions_of("slow");
    origin.hold(&slow);
    origin.replies(&slow, Reply::json(200, "[]"));
    let mut waiting = Connection::open(gateway.public).await;
    let head = format!("GET {slow} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ikg_one\r\n\r\n");
    waiting.write(&head).await;
    gateway.has_waiting("slow", 1).await;
    gateway.reload("");
    origin.release(&slow);
    let answer = waiting.read("GET").await.unwrap();
    assert_eq!(answer.status, 200, "{answer:#?}");
    assert!(answer.field("ratelimit").starts_with("\"one\";r=2;"), "{answer:#?}");
    // The connection stays open, and its next request falls under the new rules.
    waiting.write(&head).await;
    assert_eq!(waiting.read("GET").await.unwrap().status, 401);
    drop(waiting);
    gateway.finish().await;
}

#[tokio::test]
async fn keys_that_need_a_restart_say_so_and_stay_as_they_were() {
    let (_origin, mut gateway, _path) = started("cache.ttl = \"60s\"").await;
    let more = "[cache]\nttl = \"30s\"\nmax_bytes = \"1MiB\"\n\
                [limits]\nmax_tracked_callers = 7\nanonymous = false\n\
                [telemetry]\nlog = \"warn\"\nformat = \"pretty\"\n\
                [upstream]\nurl = \"http://127.0.0.1:1\"\nmax_concurrency = 7";
    let expected = [
        "cache.max_bytes",
        "limits.max_tracked_callers",
        "telemetry.format",
        "upstream.max_concurrency",
    ];
    assert_eq!(gateway.reload(&more.replace("url = \"http://127.0.0.1:1\"\n", "")), expected);
    let shown = crate::support::get(gateway.admin, "/api/config").await.json();
    assert_eq!(shown["cache"]["ttl"], "30s");
    assert_eq!(shown["cache"]["max_bytes"], "256MiB");
    assert_eq!(shown["limits"]["anonymous"], false);
    assert_eq!(shown["limits"]["max_tracked_callers"], 100_000);
    assert_eq!(shown["telemetry"]["log"], "warn");
    assert_eq!(shown["telemetry"]["format"], "json");
    assert_eq!(shown["upstream"]["max_concurrency"], 64);
    // Each reload reports them until the restart. Keys that are set back are no longer reported.
    assert_eq!(gateway.reload(more).len(), 5);
    assert_eq!(gateway.reload("cache.ttl = \"30s\""), Vec::<String>::new());
    gateway.finish().await;
}

/// Returns the changed keys of a reload after the `change` of files: live ones, and those that need
/// a restart.
fn reloaded(directory: &Path, text: &str, change: impl FnOnce()) -> (Vec<String>, Vec<String>) {
    let check = || {
        let key = [("IMAGEKIT_PRIVATE_KEY".to_owned(), "private_a=".to_owned())];
        ikgate::config::from_text(text, directory, key).unwrap()
    };
    let old = check();
    change();
    let reloaded = old.reloaded(check()).unwrap();
    (reloaded.changed, reloaded.needs_restart)
}

#[test]
fn a_file_with_other_content_is_a_change_though_its_name_is_the_same() {
    let files = scratch();
    let directory = files.path();
    let write = |name: &str, text: &str| std::fs::write(directory.join(name), text).unwrap();
    let (_, tls) = secured(directory);
    write("a.secret", &"a".repeat(32));
    write("admin.token", &"a".repeat(32));
    write("webhook.secret", "whsec_one");
    let public = |name: &str| Signer::ed25519(name).public();
    write("one.pub", &public("one"));
    let text = format!(
        "{tls}\n[jwt]\nalgorithm = \"HS256\"\nkey_file = \"a.secret\"\nissuer = \"a\"\n\
         [upstream]\nca_file = \"cert.pem\"\n[admin]\ntoken_file = \"admin.token\"\n\
         [webhooks]\nsecret_file = \"webhook.secret\""
    );
    let none: (Vec<String>, Vec<String>) = Default::default();
    assert_eq!(reloaded(directory, &text, || {}), none);
    let (live, waiting) = reloaded(directory, &text, || {
        secured(directory);
        write("a.secret", &"b".repeat(32));
        write("admin.token", &"b".repeat(32));
        write("webhook.secret", "whsec_two");
    });
    assert_eq!(live, ["jwt.key_file", "server.tls.certificate"]);
    assert_eq!(waiting, ["admin.token_file", "upstream.ca_file", "webhooks.secret_file"]);
    let text = "[jwt]\nkey_files = { one = \"one.pub\" }\nissuer = \"a\"";
    let (live, waiting) = reloaded(directory, text, || write("one.pub", &public("one")));
    assert_eq!((live, waiting), (vec!["jwt.key_files".to_owned()], vec![]));
}

#[tokio::test]
async fn sighup_reads_the_file_again_and_a_bad_one_is_refused_with_every_problem() {
    let directory = scratch();
    let config = directory.path().join("ikgate.toml");
    let write = |more: &str| {
        let text = format!(
            "[server]\nlisten = [\"127.0.0.1:0\"]\n[admin]\nlisten = \"127.0.0.1:0\"\n\
             [upstream]\nurl = \"http://127.0.0.1:1\"\n{more}"
        );
        std::fs::write(&config, text).unwrap();
    };
    write("");
    let key = [("IMAGEKIT_PRIVATE_KEY", "private_a="), ("IKGATE_TELEMETRY__FORMAT", "json")];
    let program = Program::serve(Path::new(&config), &key);
    let hang_up = async |outcome: &str, count: u32| {
        program.signal("HUP");
        let expected = format!("ikgate_config_reloads_total{{outcome=\"{outcome}\"}} {count}\n");
        let reloaded = async {
            while !crate::support::get(program.admin, "/metrics").await.body.contains(&expected) {}
        };
        let patience = Duration::from_secs(20);
        tokio::time::timeout(patience, reloaded).await.expect(outcome);
    };
    let mut open = Connection::open(program.public).await;
    let path = versions_of(FILE);
    let mut ask = async || {
        open.write(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
        open.read("GET").await.unwrap()
    };
    assert_eq!(ask().await.field("ratelimit-policy"), "\"anonymous\";q=20;w=2");
    write("[limits]\nanonymous = { per_second = 5, burst = 15 }\n[telemetry]\nlog = \"warn\"");
    hang_up("applied", 1).await;
    assert_eq!(ask().await.field("ratelimit-policy"), "\"anonymous\";q=15;w=3");
    write("[limits]\nanonymous = 7\n[cache]\nttl = \"soon\"\n[cors]\n");
    hang_up("refused", 1).await;
    let stats = crate::support::get(program.admin, "/api/stats").await.json();
    let told = stats["health"]["reload_refused"].as_str().unwrap();
    assert!(told.contains("limits.anonymous: ") && told.ends_with(" more problems)"), "{told}");
    assert_eq!(ask().await.field("ratelimit-policy"), "\"anonymous\";q=15;w=3");
    std::fs::remove_file(&config).unwrap();
    hang_up("refused", 2).await;
    let stats = crate::support::get(program.admin, "/api/stats").await.json();
    // No upstream exists, so its problem comes first.
    let mut problems = stats["problems"].as_array().unwrap().iter();
    let problem = problems.find(|problem| problem["code"] == "reload_refused").unwrap();
    let cause = problem["cause"].as_str().unwrap();
    assert!(cause.contains("cannot read") && !cause.contains("more problem"), "{cause}");
    write("[cache]\nmax_bytes = \"1MiB\"");
    hang_up("applied", 2).await;
    let stats = crate::support::get(program.admin, "/api/stats").await.json();
    assert_eq!(stats["health"]["reload_refused"], serde_json::Value::Null);
    assert!(!stats["problems"].to_string().contains("reload_refused"), "{stats}");
    drop(open);
    program.signal("TERM");
    let (code, log) = program.wait();
    assert_eq!(code, Some(0), "{log}");
    for path in ["limits.anonymous", "cache.ttl", "cors.allowed_origins"] {
        assert!(log.contains(&format!("\"path\":\"{path}\"")), "{path} in {log}");
    }
    assert!(log.contains("cannot read"), "{log}");
    assert!(log.contains("\"keys\":\"cache.max_bytes\""), "{log}");
    // The first reload sets the log filter to warnings. Its own line is logged before that. The
    // second leaves a key that needs a restart, and that is a warning.
    let reloaded: Vec<_> =
        log.lines().filter(|line| line.contains("configuration reloaded: changed ")).collect();
    assert_eq!(reloaded.len(), 2, "{log}");
    assert!(reloaded[0].contains("\"level\":\"INFO\""), "{log}");
    assert!(reloaded[1].contains("; needs restart: cache.max_bytes\""), "{log}");
    assert!(reloaded[1].contains("\"level\":\"WARN\""), "{log}");
    let refused = |line: &str| {
        line.contains("\"path\":\"cache.ttl\"") && line.contains("\"level\":\"ERROR\"")
    };
    assert!(log.lines().any(refused), "{log}");
}
