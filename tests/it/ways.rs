//! Equivalence tests of the three code paths: HTTP/1.1 by the fast path, HTTP/1.1 through hyper,
//! and HTTP/2. The same request gets the same response, the same cost and the same report on each.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::support::{
    Answer, Authority, Connection, ExchangeReport, Exchanges, FILE, Origin, Reply, TestGateway,
    scratch, secured, versions_of,
};

const KEY: &str = "ikg_of_the_web_team";
const KEY_OF_OTHERS: &str = "ikg_of_one_file";

/// Field that keeps a request off the fast path.
const THROUGH_HYPER: &str = "TE: trailers\r\n";

/// Field by which the help shows the same URL for HTTP/1.1 as for HTTP/2, which is over TLS here.
const OVER_TLS: &str = "X-Forwarded-Proto: https\r\n";

/// Request in a form that can be sent on each path.
#[derive(Clone, Debug)]
struct Asked {
    path: String,
    fields: Vec<(String, String)>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum CodePath {
    FastPath,
    Hyper,
    Http2,
}

/// Gateway with its own origin. All its requests take one path.
struct Started {
    code_path: CodePath,
    origin: Origin,
    gateway: TestGateway,
    authority: Authority,
    _directory: tempfile::TempDir,
}

/// Comparable results of one request.
#[derive(Debug, Eq, PartialEq)]
struct Outcome {
    status: u16,
    fields: Vec<(String, String)>,
    body: String,
    seen: ExchangeReport,
    upstream_calls: usize,
}

impl Started {
    async fn new(code_path: CodePath) -> Self {
        let directory = scratch();
        let (authority, tls) = secured(directory.path());
        let origin = Origin::start().await;
        let list = format!("[{}]", ["{\"versionInfo\":{\"id\":\"v1\"}}"; 100].join(","));
        origin.replies(&versions_of(FILE), Reply::json(200, &list));
        origin.replies(&versions_of("private"), Reply::json(200, "[{\"isPrivateFile\":true}]"));
        origin.replies(&versions_of("broken"), Reply::json(500, "{}"));
        let digest = |key| ikgate::caller::KeyDigest::of(key);
        let tls = if code_path == CodePath::Http2 { tls } else { String::new() };
        let config = format!(
            "[server]\ntrusted_proxies = [\"127.0.0.1\"]\n{tls}\n\
             [limits]\nanonymous = {{ per_second = 1, burst = 1000000 }}\n\
             auth_failures = {{ per_second = 1, burst = 1000 }}\n\
             [cors]\nallowed_origins = [\"https://page.example\"]\n\
             [[callers]]\nname = \"web-team\"\nkey_sha256 = \"{}\"\n\
             quota = {{ per_second = 1, burst = 5 }}\n\
             [[callers]]\nname = \"others\"\nkey_sha256 = \"{}\"\nfiles = [\"one\"]\n",
            digest(KEY),
            digest(KEY_OF_OTHERS),
        );
        let gateway = TestGateway::configured(&origin, &config);
        Self { code_path, origin, gateway, authority, _directory: directory }
    }

    /// Sends one request and waits until it is over.
    async fn outcome(&self, asked: &Asked, exchanges: &Exchanges) -> Outcome {
        let before = self.origin.requests().len();
        let (status, mut fields, body) = match self.code_path {
            CodePath::FastPath => self.over_http1(asked, "").await,
            CodePath::Hyper => self.over_http1(asked, THROUGH_HYPER).await,
            CodePath::Http2 => self.over_http2(asked).await,
        };
        let mut seen = exchanges.ended(1).await.remove(0);
        seen.texts.retain(|(name, _)| *name != "request.id");
        // Fields that differ by request or exist only in HTTP/1.1.
        let own = ["date", "x-request-id", "connection"];
        fields.retain(|(name, _)| !own.contains(&name.as_str()));
        fields.sort();
        self.gateway.is_settled(FILE).await;
        let upstream_calls = self.origin.requests().len() - before;
        Outcome { status, fields, body, seen, upstream_calls }
    }

    async fn over_http1(&self, asked: &Asked, more: &str) -> (u16, Vec<(String, String)>, String) {
        let mut connection = Connection::open(self.gateway.public).await;
        connection.write(head_of(asked, more)).await;
        let Answer { status, fields, body, .. } = connection.read("GET").await.unwrap();
        (status, fields, body)
    }

    async fn over_http2(&self, asked: &Asked) -> (u16, Vec<(String, String)>, String) {
        let mut sender = self.http2().await;
        let uri = format!("https://localhost{}", asked.path);
        let mut request = http::Request::builder().uri(uri);
        for (name, value) in &asked.fields {
            request = request.header(name, value);
        }
        let response = sender.send_request(request.body(Empty::new()).unwrap()).await.unwrap();
        let (head, body) = response.into_parts();
        let text = |value: &http::HeaderValue| value.to_str().unwrap().to_owned();
        let fields = head.headers.iter();
        let fields = fields.map(|(name, value)| (name.to_string(), text(value))).collect();
        let body = body.collect().await.unwrap().to_bytes();
        (head.status.as_u16(), fields, String::from_utf8_lossy(&body).into_owned())
    }

    async fn http2(&self) -> SendRequest<Empty<Bytes>> {
        let stream = self.authority.connect(self.gateway.public, &["h2"]).await.unwrap();
        let io = TokioIo::new(stream);
        let (sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
        tokio::spawn(connection);
        sender
    }
}

fn head_of(asked: &Asked, more: &str) -> String {
    let line = |(name, value): &(String, String)| format!("{name}: {value}\r\n");
    let fields: String = asked.fields.iter().map(line).collect();
    format!("GET {} HTTP/1.1\r\nHost: localhost\r\n{OVER_TLS}{more}{fields}\r\n", asked.path)
}

/// Returns paths of every kind: stored, missing, private, failing, malformed, unknown.
fn paths() -> Vec<String> {
    vec![
        versions_of(FILE),
        format!("{}/v1", versions_of(FILE)),
        format!("{}/v9", versions_of(FILE)),
        versions_of("missing"),
        versions_of("private"),
        versions_of("broken"),
        versions_of("one"),
        format!("{}?a", versions_of(FILE)),
        format!("{}/", versions_of(FILE)),
        versions_of("%41"),
        versions_of(&"a".repeat(65)),
        "/".to_owned(),
        "/openapi.json".to_owned(),
        "/v1/files/a/details".to_owned(),
    ]
}

fn field_sets(tag: &str) -> Vec<Vec<(String, String)>> {
    let bearer = format!("Bearer {KEY}");
    let others = format!("Bearer {KEY_OF_OTHERS}");
    let sets: &[&[(&str, &str)]] = &[
        &[],
        &[("accept-encoding", "gzip")],
        &[("accept-encoding", "br;q=0.5, gzip;q=0.1, identity")],
        &[("accept-encoding", "br"), ("accept-encoding", "gzip;q=0.5")],
        &[("if-none-match", tag)],
        &[("if-none-match", "*"), ("accept-encoding", "br")],
        &[("if-none-match", "\"a\""), ("if-none-match", tag)],
        &[("origin", "https://page.example")],
        &[("origin", "https://elsewhere.example")],
        &[("authorization", &bearer)],
        &[("authorization", &others)],
        &[("authorization", &bearer), ("authorization", &bearer)],
        &[("authorization", "Bearer ikg_wrong")],
        &[("authorization", "Basic ###")],
        &[("cookie", "a=b"), ("user-agent", "c"), ("sec-fetch-mode", "cors")],
        &[("x-forwarded-for", "192.0.2.1")],
        &[("x-forwarded-for", "192.0.2.1, 127.0.0.1"), ("x-forwarded-for", "198.51.100.1")],
        &[("x-forwarded-for", "unknown"), ("x-request-id", "of-the-proxy")],
        &[("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")],
        &[("x-request-id", "not an id"), ("x-request-id", "two")],
    ];
    let owned = |set: &&[(&str, &str)]| {
        set.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    sets.iter().map(owned).collect()
}

/// Sends the same requests in the same order to one gateway for each path, and compares them.
async fn agree_on(requests: &[Asked]) -> Vec<u16> {
    let ways = [
        Started::new(CodePath::FastPath).await,
        Started::new(CodePath::Hyper).await,
        Started::new(CodePath::Http2).await,
    ];
    // The events of this thread go to the gateway that was started last.
    let exchanges = &ways[2].gateway.exchanges;
    let stored = Asked { path: versions_of(FILE), fields: Vec::new() };
    for started in &ways {
        started.outcome(&stored, exchanges).await;
        started.gateway.has_encoded(FILE).await;
    }
    let mut statuses = Vec::new();
    for asked in requests {
        let [plain, rest @ ..] = &ways;
        let expected = plain.outcome(asked, exchanges).await;
        for started in rest {
            let found = started.outcome(asked, exchanges).await;
            assert_eq!(found, expected, "{:?}: {asked:?}", started.code_path);
        }
        statuses.push(expected.status);
    }
    for started in ways {
        started.gateway.finish().await;
    }
    statuses
}

#[tokio::test]
async fn each_way_in_gives_the_same_answer_at_the_same_price() {
    let (_, tag) = {
        let started = Started::new(CodePath::FastPath).await;
        let answer = started.gateway.get(&versions_of(FILE)).await;
        let found = (answer.status, answer.field("etag").to_owned());
        started.gateway.finish().await;
        found
    };
    let mut requests = Vec::new();
    for path in paths() {
        for fields in field_sets(&tag) {
            requests.push(Asked { path: path.clone(), fields });
        }
    }
    assert!(requests.len() >= 200, "{}", requests.len());
    let statuses = Box::pin(agree_on(&requests)).await;
    for status in [200, 304, 400, 401, 403, 404, 429, 502] {
        assert!(statuses.contains(&status), "no request of the table has {status}");
    }
}

/// A page whose origin is refused is counted on each way in, whether the list is stored or not; the
/// fast path answers the stored one.
#[tokio::test]
async fn each_way_in_counts_the_same_refused_pages() {
    for code_path in [CodePath::FastPath, CodePath::Hyper, CodePath::Http2] {
        let started = Started::new(code_path).await;
        let exchanges = &started.gateway.exchanges;
        let send = async |origin: Option<&str>| {
            let field = origin.map(|origin| ("origin".to_owned(), origin.to_owned()));
            let fields = field.into_iter().collect();
            started.outcome(&Asked { path: versions_of(FILE), fields }, exchanges).await;
            started.gateway.metric("ikgate_cors_refused_total").await.unwrap()
        };
        let own =
            if code_path == CodePath::Http2 { "https://localhost" } else { "http://localhost" };
        for (origin, refused) in [
            (None, 0.0),
            (Some("https://page.example"), 0.0),
            (Some(own), 0.0),
            (Some("https://elsewhere.example"), 1.0),
            (Some("null"), 2.0),
            (None, 2.0),
        ] {
            let counted = send(origin).await;
            assert!(
                (counted - refused).abs() < f64::EPSILON,
                "{code_path:?} {origin:?}: {counted}"
            );
        }
        started.gateway.finish().await;
    }
}

/// Random requests, built of pieces that each matter to some stage of the pipeline.
#[test]
fn each_way_in_gives_the_same_answer_to_requests_at_random() {
    let piece = "[a-zA-Z0-9*\",;=./: -]{0,24}";
    let tag = "\"T1PNoYwrqgwDVLtfmj7L5Q\"";
    let sets = field_sets(tag);
    let names = prop::sample::select(vec![
        "accept-encoding",
        "authorization",
        "if-none-match",
        "origin",
        "traceparent",
        "x-forwarded-for",
        "x-request-id",
        "x-anything",
    ]);
    let field = (names, piece).prop_map(|(name, value)| (name.to_owned(), value.trim().to_owned()));
    let fields = prop::collection::vec(field, 0..4);
    let known = prop::sample::select(sets);
    let path = prop_oneof![
        3 => prop::sample::select(paths()),
        1 => "/v1/files/[a-zA-Z0-9._~-]{0,8}/versions(/[a-z0-9-]{0,4})?([?][a-z]{0,2})?",
    ];
    let asked = (path, known, fields).prop_map(|(path, mut known, fields)| {
        known.extend(fields);
        Asked { path, fields: known }
    });
    let sequences = prop::collection::vec(asked, 20..60);
    let mut runner = TestRunner::new(Config { cases: 20, ..Config::default() });
    runner
        .run(&sequences, |requests| {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(agree_on(&requests));
            Ok(())
        })
        .unwrap();
}

async fn started() -> (Origin, TestGateway) {
    let Started { origin, gateway, .. } = Started::new(CodePath::FastPath).await;
    gateway.get(&versions_of(FILE)).await;
    gateway.get(&versions_of("missing")).await;
    (origin, gateway)
}

/// Returns pipelined requests that take different paths, and the status of each response.
fn pipeline() -> (String, Vec<u16>) {
    let request = |file: &str, more: &str| {
        format!("GET {} HTTP/1.1\r\nHost: a\r\n{more}\r\n", versions_of(file))
    };
    let all = [
        (request("missing", ""), Some(404)),
        (request("other", ""), Some(200)),
        ("\r\n".to_owned(), None),
        (request("other", ""), Some(200)),
        (request("never-stored", ""), Some(404)),
        (request("missing", THROUGH_HYPER), Some(404)),
        (request("other", "Authorization: Bearer wrong\r\n"), Some(401)),
        (request("other", ""), Some(200)),
    ];
    let statuses = all.iter().filter_map(|(_, status)| *status).collect();
    (all.into_iter().map(|(text, _)| text).collect(), statuses)
}

#[tokio::test]
async fn a_pipeline_is_answered_in_order_wherever_it_is_cut() {
    let (origin, gateway) = started().await;
    origin.replies(&versions_of("other"), Reply::json(200, "[\"other\"]"));
    let (sent, statuses) = pipeline();
    for cut in 0..sent.len() {
        let mut connection = Connection::open(gateway.public).await;
        let (first, rest) = sent.split_at(cut);
        connection.write(first).await;
        // Complete requests are answered before the rest arrives.
        let complete = first.matches("\r\n\r\n").count();
        let mut found = Vec::new();
        for _ in 0..complete.min(1) {
            found.push(connection.read("GET").await.unwrap().status);
        }
        connection.write(rest).await;
        while found.len() < statuses.len() {
            found.push(connection.read("GET").await.unwrap().status);
        }
        assert_eq!(found, statuses, "cut at {cut}");
    }
    gateway.finish().await;
}

#[tokio::test]
async fn a_connection_goes_all_ways_in_turn_byte_by_byte() {
    let (origin, gateway) = started().await;
    origin.replies(&versions_of("other"), Reply::json(200, "[\"other\"]"));
    let mut connection = Connection::open(gateway.public).await;
    let (sent, statuses) = pipeline();
    for byte in sent.bytes() {
        connection.write([byte]).await;
    }
    for status in statuses {
        assert_eq!(connection.read("GET").await.unwrap().status, status);
    }
    drop(connection);
    gateway.finish().await;
}

/// A request that the fast path hands over is admitted and counted once.
#[tokio::test]
async fn a_request_that_is_handed_over_spends_one_of_its_quota() {
    let (origin, gateway) = started().await;
    origin.replies(&versions_of("other"), Reply::json(200, "[\"other\"]"));
    let left = |answer: &Answer| {
        let field = answer.field("ratelimit");
        let left = field.split("r=").nth(1).unwrap().split(';').next().unwrap();
        left.parse::<u32>().unwrap()
    };
    let mut connection = Connection::open(gateway.public).await;
    let mut last = None;
    for file in ["missing", "other", "other", "never-stored", "missing"] {
        connection.write(format!("GET {} HTTP/1.1\r\nHost: a\r\n\r\n", versions_of(file))).await;
        let now = left(&connection.read("GET").await.unwrap());
        assert!(last.is_none_or(|last: u32| last - 1 == now), "{file}: {now} after {last:?}");
        last = Some(now);
    }
    drop(connection);
    gateway.finish().await;
}

/// A connection that was handed to hyper returns to the fast path after some hits. No response is
/// delayed by the change.
#[tokio::test]
async fn a_connection_that_was_handed_over_for_a_miss_goes_on_with_hits() {
    let (origin, gateway) = started().await;
    origin.replies(&versions_of("other"), Reply::json(200, "[\"other\"]"));
    let mut connection = Connection::open(gateway.public).await;
    let request = |file: &str| format!("GET {} HTTP/1.1\r\nHost: a\r\n\r\n", versions_of(file));
    for round in 0..3 {
        let miss = format!("never-stored-{round}");
        connection.write(request(&miss)).await;
        assert_eq!(connection.read("GET").await.unwrap().status, 404);
        for _ in 0..40 {
            connection.write(request("other")).await;
            assert_eq!(connection.read("GET").await.unwrap().status, 200);
        }
    }
    drop(connection);
    gateway.finish().await;
}

#[tokio::test]
async fn a_body_is_never_taken_for_the_next_request() {
    let (_origin, gateway) = started().await;
    let hidden = format!("GET {} HTTP/1.1\r\nHost: a\r\n\r\n", versions_of(FILE));
    let mut connection = Connection::open(gateway.public).await;
    for method in ["GET", "POST"] {
        let head = format!(
            "{method} {} HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n",
            versions_of(FILE),
            hidden.len()
        );
        connection.write(head).await;
        if method == "POST" {
            assert_eq!(connection.read("POST").await.unwrap().status, 405);
        }
        connection.write(hidden.clone()).await;
        if method == "GET" {
            assert_eq!(connection.read("GET").await.unwrap().status, 200);
            let next = format!("GET {} HTTP/1.1\r\nHost: a\r\n\r\n", versions_of("missing"));
            connection.write(next).await;
            assert_eq!(connection.read("GET").await.unwrap().status, 404, "not the hidden one");
        }
    }
    // hyper may drain the body or close, but it does not answer the bytes as a request.
    assert!(connection.read("GET").await.is_none_or(|reply| reply.status == 400));
    gateway.finish().await;
}
