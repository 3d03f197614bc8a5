//! Tests of the access log: the fields of each request's line, and the secrets that no line holds.

use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::{Value, json};

use crate::support::{Connection, FILE, Origin, Program, Reply, get, scratch, send, versions_of};

/// Time limit for a count, long enough for a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(20);

const ADMIN_TOKEN: &str = "admin_canary_token";
const PRIVATE_KEY: &str = "private_canary=";
const CALLER_KEY: &str = "ikg_canary_caller_key";
const TOKEN_SECRET: &str = "canary-secret-of-at-least-thirty-two-bytes";
const WEBHOOK_SECRET: &str = "whsec_Y2FuYXJ5";

struct Logged {
    origin: Origin,
    directory: tempfile::TempDir,
    program: Program,
}

impl Logged {
    async fn start(telemetry: &str) -> Self {
        let (directory, origin) = (scratch(), Origin::start().await);
        origin.replies(&versions_of(FILE), Reply::json(200, "[1,2]"));
        let write = |name: &str, content: &str| {
            std::fs::write(directory.path().join(name), content).unwrap();
        };
        write("admin.token", ADMIN_TOKEN);
        write("jwt.secret", TOKEN_SECRET);
        write("webhook.secret", WEBHOOK_SECRET);
        let digest = ikgate::caller::KeyDigest::of(CALLER_KEY);
        let address = origin.address;
        let text = format!(
            "[server]\nlisten = [\"127.0.0.1:0\"]\ntrusted_proxies = [\"127.0.0.1\"]\n\
             [admin]\nlisten = \"127.0.0.1:0\"\ntoken_file = \"admin.token\"\n\
             [upstream]\nurl = \"http://{address}\"\n[webhooks]\nsecret_file = \"webhook.secret\"\n\
             [jwt]\nalgorithm = \"HS256\"\nkey_file = \"jwt.secret\"\nissuer = \"a\"\n\
             [telemetry]\n{telemetry}\n\
             [[callers]]\nname = \"web-team\"\nkey_sha256 = \"{digest}\""
        );
        write("ikgate.toml", &text);
        let config = directory.path().join("ikgate.toml");
        let program = Program::serve_quietly(&config, &[("IMAGEKIT_PRIVATE_KEY", PRIVATE_KEY)]);
        Self { origin, directory, program }
    }

    async fn get(&self, target: &str, fields: &[(&str, &str)]) {
        send(self.program.public, "GET", target, fields).await;
    }

    /// Stops the gateway and returns everything that it logged.
    fn end(self) -> (String, Origin, tempfile::TempDir) {
        self.program.signal("TERM");
        let (code, log) = self.program.wait();
        assert_eq!(code, Some(0), "{log}");
        (log, self.origin, self.directory)
    }
}

/// Returns the lines of the access log, without the values that differ from run to run.
fn lines(log: &str) -> Vec<Value> {
    let parsed = |line| serde_json::from_str::<Value>(line).unwrap_or_else(|_| panic!("{line}"));
    let lines = log.lines().map(parsed);
    lines
        .filter(|line| line["target"] == "ikgate.access")
        .map(|mut line| {
            let line_fields = line.as_object_mut().unwrap();
            for name in ["timestamp", "duration_us"] {
                assert!(line_fields.remove(name).is_some(), "{name}: {log}");
            }
            line
        })
        .collect()
}

#[tokio::test]
async fn every_request_is_a_line_with_the_same_fields() {
    let logged = Logged::start("access_log = \"all\"").await;
    let path = versions_of(FILE);
    let basic = format!("Basic {}", BASE64_STANDARD.encode(format!("{CALLER_KEY}:")));
    let of_proxy = [
        ("Authorization", basic.as_str()),
        ("X-Request-Id", "given-1"),
        ("X-Forwarded-For", "192.0.2.9"),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    ];
    logged.get(&path, &of_proxy).await;
    logged.get(&format!("{path}?canary"), &[("X-Request-Id", "given-2")]).await;
    logged.get("/canary", &[("X-Request-Id", "given-3")]).await;
    let mut broken = Connection::open(logged.program.public).await;
    broken.write("canary\r\n\r\n").await;
    assert_eq!(broken.read("GET").await.unwrap().status, 400);
    assert!(broken.is_closed().await);
    let (log, origin, _directory) = logged.end();
    let mut found = lines(&log);
    // A line is written when its connection has taken the response, so the order can differ. The
    // request without a given id is the last.
    let id = |line: &Value| line["request.id"].as_str().unwrap().to_owned();
    found.sort_by_key(|line| (!id(line).starts_with("given-"), id(line)));
    let common = json!({
        "level": "INFO", "target": "ikgate.access", "bytes": 5, "coding": "identity",
        "ending": "answered", "client.addr": "127.0.0.1", "method": "GET",
    });
    let line = |own: Value| {
        let mut line = common.clone();
        line.as_object_mut().unwrap().extend(own.as_object().unwrap().clone());
        line
    };
    let bytes = |place: usize| found[place]["bytes"].clone();
    let expected = [
        line(json!({
            "caller": "web-team", "route": "list", "cache": "miss", "status": 200,
            "request.id": "given-1", "client.addr": "192.0.2.9", "file.id": FILE,
            "trace.id": "0af7651916cd43dd8448eb211c80319c",
        })),
        line(json!({
            "caller": "none", "route": "none", "cache": "none", "status": 400, "bytes": bytes(1),
            "request.id": "given-2", "error.code": "bad_request",
        })),
        line(json!({
            "caller": "none", "route": "none", "cache": "none", "status": 404, "bytes": bytes(2),
            "request.id": "given-3", "error.code": "no_route",
        })),
        line(json!({
            "caller": "none", "route": "none", "cache": "none", "status": 400, "bytes": bytes(3),
            "request.id": found[3]["request.id"], "method": "other", "error.code": "bad_request",
        })),
    ];
    assert_eq!(found, expected);
    assert!(!log.contains("canary"), "{log}");
    let upstream = origin.requests();
    assert!(upstream[0].contains("traceparent: 00-0af7651916cd43dd8448eb211c80319c-"));
    assert!(!upstream[0].contains("b7ad6b7169203331"), "our step is another one: {upstream:?}");
}

#[tokio::test]
async fn errors_alone_are_lines_unless_told_otherwise_and_off_means_none() {
    for (telemetry, statuses) in [
        ("", &[404][..]),
        ("access_log = \"errors\"", &[404]),
        ("access_log = \"all\"\nlog = \"error\"", &[200, 404]),
        ("access_log = \"off\"", &[]),
    ] {
        let logged = Logged::start(&format!("{telemetry}\n")).await;
        logged.get(&versions_of(FILE), &[]).await;
        logged.get(&versions_of("missing"), &[]).await;
        let (log, ..) = logged.end();
        // A line is written when its connection has taken the response, so the order can differ.
        let status = |line: &Value| line["status"].as_u64().unwrap();
        let mut found: Vec<_> = lines(&log).iter().map(status).collect();
        found.sort_unstable();
        assert_eq!(found, statuses, "{telemetry}");
    }
}

#[tokio::test]
async fn pretty_lines_say_the_same() {
    let logged = Logged::start("access_log = \"all\"\nformat = \"pretty\"").await;
    logged.get(&versions_of(FILE), &[]).await;
    let (log, ..) = logged.end();
    let line = log.lines().find(|line| line.contains("ikgate.access")).unwrap();
    for said in ["status=200 bytes=5 coding=identity duration_us=", &format!("file.id={FILE}")] {
        assert!(line.contains(said), "{said}: {line}");
    }
}

#[tokio::test]
async fn a_silent_log_silences_no_metric() {
    for telemetry in ["log = \"off\"\naccess_log = \"off\"", "log = \"error\"", "log = \"trace\""] {
        let logged = Logged::start(&format!("{telemetry}\n")).await;
        for _ in 0..2 {
            logged.get(&versions_of(FILE), &[]).await;
        }
        let bearer = format!("Bearer {ADMIN_TOKEN}");
        let admin = logged.program.admin;
        send(admin, "DELETE", "/api/cache", &[("Authorization", &bearer)]).await;
        let requests = "ikgate_requests_total{route=\"list\",caller=\"anonymous\",status=\"200\",";
        let expected = [
            format!("{requests}cache=\"hit\"}} 1"),
            format!("{requests}cache=\"miss\"}} 1"),
            "ikgate_upstream_requests_total{outcome=\"ok\"} 1".to_owned(),
            "ikgate_invalidations_total{source=\"admin\",kind=\"hard\"} 1".to_owned(),
        ];
        // An exchange is counted when its connection has taken the response.
        let counted = async {
            loop {
                let exposed = get(admin, "/metrics").await.body;
                let is_exposed = |line: &String| exposed.lines().any(|exposed| exposed == line);
                if expected.iter().all(is_exposed) {
                    return;
                }
            }
        };
        let counted = tokio::time::timeout(PATIENCE, counted).await;
        assert!(counted.is_ok(), "{telemetry}: not counted as {expected:?}");
        let (log, ..) = logged.end();
        assert_eq!(log.is_empty(), !telemetry.contains("trace"), "{log}");
    }
}

/// Runs at the most verbose level, with every kind of secret in use, right and wrong.
#[tokio::test]
async fn no_line_and_no_page_holds_a_secret_plain_or_encoded() {
    let logged = Logged::start("access_log = \"all\"\nlog = \"trace\"").await;
    let program = &logged.program;
    let path = versions_of(FILE);
    let claims = format!("{}/jwt.toml", logged.directory.path().display());
    std::fs::copy(logged.directory.path().join("ikgate.toml"), &claims).unwrap();
    let token = crate::support::run(&["token", "--config", &claims, "--sub", "user"], &[]);
    let token = String::from_utf8(token.stdout).unwrap().trim().to_owned();
    assert_eq!(token.split('.').count(), 3, "{token}");
    let basic = BASE64_STANDARD.encode(format!("{CALLER_KEY}:"));
    let wrong = "ikg_canary_wrong_key";
    let given_away = "private_canary_sent=";
    for credential in [
        format!("Bearer {CALLER_KEY}"),
        format!("Basic {basic}"),
        format!("Bearer {token}"),
        format!("Bearer {wrong}"),
        format!("Bearer {given_away}"),
        format!("Bearer {token}x"),
    ] {
        logged.get(&path, &[("Authorization", &credential)]).await;
    }
    logged.get(&versions_of("missing"), &[]).await;
    let signature = "t=1,v1=canary_signature";
    let mut connection = Connection::open(program.public).await;
    let head = format!(
        "POST /webhooks/imagekit HTTP/1.1\r\nHost: a\r\nx-ik-signature: {signature}\r\n\
         Content-Length: 2\r\n\r\n{{}}"
    );
    connection.write(head).await;
    assert_eq!(connection.read("POST").await.unwrap().status, 401);
    let bearer = format!("Bearer {ADMIN_TOKEN}");
    send(program.admin, "DELETE", "/api/cache", &[("Authorization", &bearer)]).await;
    send(program.admin, "DELETE", "/api/cache", &[("Authorization", "Bearer admin_canary_wrong")])
        .await;
    let mut told = String::new();
    for page in ["/metrics", "/api/config", "/api/cache/64a1b2c3d4e5f60718293a4b"] {
        told += &get(program.admin, page).await.body;
    }
    program.signal("HUP");
    let (log, origin, _directory) = logged.end();
    assert!(lines(&log).len() >= 8, "{log}");
    told += &log;
    let encoded = |text: &str| BASE64_STANDARD.encode(text).trim_end_matches('=').to_owned();
    for secret in [
        "canary".to_owned(),
        token.clone(),
        token.rsplit('.').next().unwrap().to_owned(),
        basic,
        encoded(&format!("{PRIVATE_KEY}:")),
        encoded(PRIVATE_KEY),
        encoded(CALLER_KEY),
        encoded(ADMIN_TOKEN),
        encoded(TOKEN_SECRET),
        "Y2FuYXJ5".to_owned(),
    ] {
        let place = told.find(&secret);
        let shown = place.map(|place| &told[place.saturating_sub(200)..]);
        assert_eq!(shown, None, "{secret}");
    }
    drop(origin);
}
