//! Tests of private files: only permitted callers can learn that they exist.

use std::time::Duration;

use crate::support::{FILE, Origin, Reply, TestGateway, versions_of};

const LIST: &str = "[{\"versionInfo\":{\"id\":\"v2\"},\"isPrivateFile\":true},\
                    {\"versionInfo\":{\"id\":\"v1\"},\"isPrivateFile\":false}]";

fn team() -> String {
    let digest = ikgate::caller::KeyDigest::of("ikg_key");
    format!("[[callers]]\nname = \"team\"\nkey_sha256 = \"{digest}\"\n")
}

#[tokio::test]
async fn to_callers_without_a_key_a_private_file_does_not_exist() {
    let origin = Origin::start().await;
    let path = versions_of(FILE);
    origin.replies(&path, Reply::json(200, LIST));
    let gateway = TestGateway::configured(&origin, &team());
    let key = ("Authorization", "Bearer ikg_key");
    let hidden = async |method: &str, target: &str, fields: &[(&str, &str)], status: &str| {
        let answer = gateway.send(method, target, fields).await;
        assert_eq!(answer.status, 404, "{method} {target}");
        assert!(answer.field("cache-status").starts_with(status), "{answer:#?}");
        for field in ["etag", "age", "content-encoding"] {
            assert_eq!(answer.find(field), None, "{field}");
        }
        assert_eq!(answer.field("cache-control"), "no-store");
    };
    hidden("GET", &path, &[], "ikgate; fwd=uri-miss; fwd-status=404").await;
    let seen = gateway.send("GET", &path, &[key]).await;
    assert_eq!((seen.status, seen.body.as_str()), (200, LIST));
    let tag = seen.field("etag").to_owned();
    hidden("GET", &path, &[], "ikgate; hit").await;
    hidden("HEAD", &path, &[], "ikgate; hit").await;
    hidden("GET", &path, &[("If-None-Match", &tag)], "ikgate; hit").await;
    hidden("GET", &path, &[("If-None-Match", "*")], "ikgate; hit").await;
    for version in ["v1", "v2", "v3"] {
        hidden("GET", &format!("{path}/{version}"), &[], "ikgate; hit").await;
    }
    gateway.clock.advance(Duration::from_secs(90));
    hidden("GET", &path, &[], "ikgate; hit").await;
    gateway.is_settled(FILE).await;
    assert_eq!(gateway.send("GET", &format!("{path}/v1"), &[key]).await.status, 200);
    assert_eq!(gateway.send("GET", &path, &[key, ("If-None-Match", &tag)]).await.status, 304);
    gateway.finish().await;
}

#[tokio::test]
async fn a_private_file_may_be_shown_to_everybody() {
    let origin = Origin::start().await;
    let path = versions_of(FILE);
    origin.replies(&path, Reply::json(200, LIST));
    let gateway = TestGateway::configured(&origin, "cache.expose_private = true");
    assert_eq!(gateway.get(&path).await.body, LIST);
    assert_eq!(gateway.get(&format!("{path}/v1")).await.status, 200);
    gateway.finish().await;
}
