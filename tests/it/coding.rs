//! Tests of content codings: encoded once, negotiated for each request, each with its own entity
//! tag.

use std::io::{Read as _, Write as _};

use crate::support::{Answer, FILE, Origin, Reply, TestGateway, versions_of};

fn list() -> String {
    let versions = (0..40).map(|number| format!("{{\"name\":\"{number}\",\"type\":\"file\"}}"));
    format!("[{}]", versions.collect::<Vec<_>>().join(","))
}

fn gzip(body: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(body.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn decoded(answer: &Answer) -> String {
    let mut body = String::new();
    match answer.find("content-encoding") {
        None => body.push_str(&answer.body),
        Some("br") => {
            _ = brotli::Decompressor::new(&answer.bytes[..], 4096).read_to_string(&mut body);
        }
        Some("gzip") => {
            _ = flate2::read::GzDecoder::new(&answer.bytes[..]).read_to_string(&mut body);
        }
        Some(other) => panic!("{other}"),
    }
    body
}

/// Starts a gateway that has a long list stored in all codings.
async fn with_codings(reply: Reply) -> (Origin, TestGateway, String) {
    let origin = Origin::start().await;
    let path = versions_of(FILE);
    origin.replies(&path, reply);
    let gateway = TestGateway::start(&origin);
    gateway.get(&path).await;
    gateway.has_encoded(FILE).await;
    (origin, gateway, path)
}

#[tokio::test]
async fn each_request_gets_the_coding_it_likes_best_with_a_tag_of_its_own() {
    let (origin, gateway, path) = with_codings(Reply::json(200, &list())).await;
    let identity = gateway.get(&path).await;
    let base = identity.field("etag").trim_end_matches('"').to_owned();
    let table = [
        ("gzip, deflate, br, zstd", Some("br"), "-br"),
        ("gzip, deflate", Some("gzip"), "-gz"),
        ("br;q=0.1, gzip;q=0.2", Some("gzip"), "-gz"),
        ("br;q=0, identity;q=0.1", None, ""),
        ("application/json", None, ""),
    ];
    for (accepted, coding, suffix) in table {
        let answer = gateway.send("GET", &path, &[("Accept-Encoding", accepted)]).await;
        assert_eq!(answer.find("content-encoding"), coding, "{accepted}");
        assert_eq!(answer.field("etag"), format!("{base}{suffix}\""), "{accepted}");
        assert_eq!(answer.field("vary"), "Origin, Accept-Encoding");
        assert_eq!(decoded(&answer), list(), "{accepted}");
        let head = gateway.send("HEAD", &path, &[("Accept-Encoding", accepted)]).await;
        assert_eq!(head.field("content-length"), answer.bytes.len().to_string(), "{accepted}");
        assert_eq!(head.find("content-encoding"), coding, "{accepted}");
    }
    assert_eq!(origin.requests_for(&path), 1);
    let sent = "ikgate_response_bytes_total{coding=\"br\"}";
    let br = gateway.send("GET", &path, &[("Accept-Encoding", "br")]).await.bytes.len();
    assert_eq!(gateway.metric(sent).await, Some(2.0 * f64::from(u32::try_from(br).unwrap())));
    gateway.finish().await;
}

#[tokio::test]
async fn the_tag_of_any_coding_is_known_and_repeated() {
    let (_origin, gateway, path) = with_codings(Reply::json(200, &list())).await;
    let identity = gateway.get(&path).await.field("etag").to_owned();
    let base = identity.trim_end_matches('"');
    for suffix in ["", "-br", "-gz"] {
        let tag = format!("{base}{suffix}\"");
        for accepted in ["br", "gzip", "identity"] {
            let fields = [("Accept-Encoding", accepted), ("If-None-Match", &tag)];
            let answer = gateway.send("GET", &path, &fields).await;
            assert_eq!((answer.status, answer.field("etag")), (304, tag.as_str()), "{accepted}");
            assert_eq!(answer.find("content-encoding"), None);
            assert_eq!(answer.field("vary"), "Origin, Accept-Encoding");
        }
    }
    let fields = [("Accept-Encoding", "br"), ("If-None-Match", "*")];
    let answer = gateway.send("GET", &path, &fields).await;
    assert_eq!((answer.status, answer.field("etag")), (304, format!("{base}-br\"").as_str()));
    gateway.finish().await;
}

#[tokio::test]
async fn short_lists_and_errors_are_sent_as_they_are() {
    let origin = Origin::start().await;
    let path = versions_of(FILE);
    origin.replies(&path, Reply::json(200, "[1]"));
    let gateway = TestGateway::start(&origin);
    gateway.get(&path).await;
    let all = [("Accept-Encoding", "br, gzip, identity;q=0")];
    for target in [path, versions_of("none"), "/nothing".to_owned()] {
        let answer = gateway.send("GET", &target, &all).await;
        assert_eq!(answer.find("content-encoding"), None, "{target}");
        assert!(!answer.body.is_empty(), "{target}");
    }
    gateway.finish().await;
}

#[tokio::test]
async fn what_the_upstream_sends_coded_is_stored_as_it_was_meant() {
    let coded = gzip(&list());
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
        coded.len()
    );
    let reply = Reply::Bytes([head.into_bytes(), coded].concat());
    let (origin, gateway, path) = with_codings(reply).await;
    let identity = gateway.get(&path).await;
    assert_eq!((identity.find("content-encoding"), &identity.body), (None, &list()));
    let br = gateway.send("GET", &path, &[("Accept-Encoding", "br")]).await;
    assert_eq!(decoded(&br), list());
    assert!(origin.requests()[0].to_lowercase().contains("accept-encoding: gzip\r\n"));
    gateway.finish().await;
}

#[tokio::test]
async fn a_body_that_decodes_to_more_than_allowed_is_refused() {
    let coded = gzip(&format!("[\"{}\"]", "x".repeat(1 << 20)));
    assert!(coded.len() < 16 * 1024);
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
        coded.len()
    );
    let origin = Origin::start().await;
    let path = versions_of(FILE);
    origin.replies(&path, Reply::Bytes([head.into_bytes(), coded].concat()));
    let gateway = TestGateway::configured(&origin, "upstream.max_response_bytes = \"16KiB\"");
    assert_eq!(gateway.get(&path).await.code(), "upstream_bad");
    gateway.finish().await;
}

/// RFC 9110 section 7.7. The gateway asks the upstream for codings, so it may remove them.
#[tokio::test]
async fn a_list_that_must_not_be_transformed_goes_out_as_it_was_meant() {
    let origin = Origin::start().await;
    let (path, fields) = (versions_of(FILE), "Cache-Control: max-age=60, no-transform\r\n");
    let coded = gzip(&list());
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n{fields}Content-Length: {}\r\n\r\n",
        coded.len()
    );
    let by_gzip = Reply::Bytes([head.as_bytes(), &coded].concat());
    origin.replies(&versions_of("other"), Reply::json(200, &list()));
    let gateway = TestGateway::start(&origin);
    for reply in [Reply::with_fields(200, fields, &list()), by_gzip] {
        origin.replies(&path, reply);
        gateway.purge("/api/cache").await;
        gateway.get(&path).await;
        // Once a list that was fetched later is stored in all codings, this one would be too.
        gateway.get(&versions_of("other")).await;
        gateway.has_encoded("other").await;
        let answer = gateway.send("GET", &path, &[("Accept-Encoding", "br, gzip")]).await;
        assert_eq!(answer.field("cache-status"), "ikgate; hit; ttl=60");
        assert_eq!(answer.find("content-encoding"), None);
        assert_eq!(answer.body, list());
    }
    gateway.finish().await;
}
