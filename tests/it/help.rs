//! Tests of the documents about the gateway: what callers find at `/` and `/openapi.json`.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use ikgate::caller::KeyDigest;
use ikgate::error::ErrorCode;
use sha2::{Digest as _, Sha256};

use crate::support::{Answer, FILE, Origin, TestGateway, versions_of};

const BROWSER: (&str, &str) =
    ("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8");
const TWO: &str = "limits.anonymous = { per_second = 1, burst = 2 }";

/// Returns the configuration of a gateway with a caller whose name and key no document may show.
fn with_keys(more: &str) -> String {
    let digest = KeyDigest::of("ikg_canary");
    format!("{more}\n[[callers]]\nname = \"canary-team\"\nkey_sha256 = \"{digest}\"\n")
}

fn sample(guide: &Answer, client: &str) -> String {
    let guide = guide.json();
    let samples = guide["samples"].as_array().unwrap();
    let found = samples.iter().find(|sample| sample["for"].as_str().unwrap().contains(client));
    found.unwrap_or_else(|| panic!("{client}: {guide}"))["code"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_guide_is_a_page_for_browsers_and_json_for_programs_and_says_what_works_here() {
    let origin = Origin::start().await;
    let gateway = TestGateway::configured(&origin, &with_keys(""));
    let url = format!("http://{}", gateway.public);
    let json = gateway.send("GET", "/", &[("Accept", "*/*")]).await;
    assert_eq!((json.status, json.field("content-type")), (200, "application/json; charset=utf-8"));
    let guide = json.json();
    assert_eq!(guide["url"].as_str(), Some(url.as_str()));
    let errors = guide["errors"].as_array().unwrap();
    let errors = errors.iter().map(|row| (row["code"].as_str().unwrap(), row["status"].as_u64()));
    let public = ErrorCode::ALL.iter().filter(|code| code.is_public());
    assert_eq!(errors.clone().count(), public.count());
    assert!(errors.clone().any(|row| row == ("throttled", Some(429))), "{guide}");
    assert!(sample(&json, "curl").contains(&format!("'{url}/v1/files/FILE_ID/versions'")));
    assert!(sample(&json, "Node").contains(&format!("baseURL: \"{url}\"")));
    assert!(sample(&json, "Python").contains(&format!("base_url=\"{url}\"")));
    assert!(sample(&json, "page").contains(&format!("fetch(\"{url}/v1/files/FILE_ID/versions\"")));

    let page = gateway.send("GET", "/", &[BROWSER]).await;
    assert_eq!((page.status, page.field("content-type")), (200, "text/html; charset=utf-8"));
    for text in [&url, "Authorization: Bearer KEY", "upstream_timeout", "one more every 100ms"] {
        assert!(page.body.contains(text), "{text}: {}", page.body);
    }
    assert!(!page.body.contains("<script") && !page.body.contains("style="), "{}", page.body);
    for answer in [&json, &page] {
        assert_eq!(answer.field("cache-control"), "no-store");
        assert_eq!(answer.field("vary"), "Origin, Accept-Encoding, Accept");
        assert_eq!(answer.field("x-content-type-options"), "nosniff");
        assert_eq!(answer.field("x-request-id").len(), 16);
        assert!(answer.field("ratelimit").starts_with("\"anonymous\";r="), "{answer:#?}");
        assert!(
            !answer.body.contains("canary") && !answer.body.contains(&origin.address.to_string())
        );
    }
    gateway.finish().await;
}

/// CSP level 3: a style sheet in the page applies only if the policy has its digest.
#[tokio::test]
async fn the_page_runs_and_loads_nothing_and_its_one_style_sheet_is_allowed() {
    let gateway = TestGateway::start(&Origin::start().await);
    let page = gateway.send("GET", "/", &[BROWSER]).await;
    let (_, style) = page.body.split_once("<style>").unwrap();
    let (style, _) = style.split_once("</style>").unwrap();
    let digest = BASE64_STANDARD.encode(Sha256::digest(style));
    assert_eq!(
        page.field("content-security-policy"),
        format!(
            "default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; \
             form-action 'none'; frame-ancestors 'none'"
        )
    );
    gateway.finish().await;
}

#[tokio::test]
async fn the_description_is_of_the_public_listener_at_its_own_url() {
    let origin = Origin::start().await;
    let gateway = TestGateway::configured(&origin, "server.base_path = \"/imagekit\"");
    let url = format!("http://{}/imagekit", gateway.public);
    let answer = gateway.get("/imagekit/openapi.json").await;
    assert_eq!(answer.status, 200);
    let description = answer.json();
    assert_eq!(description["servers"][0]["url"], "./", "relative to /imagekit/openapi.json");
    assert_eq!(description["info"]["version"], env!("CARGO_PKG_VERSION"));
    assert!(description["paths"]["/v1/files/{fileId}/versions"]["get"].is_object());
    assert!(description["paths"]["/api/cache"].is_null());
    let guide = gateway.get("/imagekit/").await.json();
    assert_eq!(guide["openapi"].as_str(), Some(format!("{url}/openapi.json").as_str()));
    for outside in ["/", "/openapi.json", "/imagekit"] {
        assert_eq!(gateway.get(outside).await.code(), "no_route", "{outside}");
    }
    gateway.finish().await;
}

#[tokio::test]
async fn help_is_read_with_get_and_head_alone_and_without_a_query() {
    let gateway = TestGateway::start(&Origin::start().await);
    for path in ["/", "/openapi.json"] {
        let whole = gateway.get(path).await;
        let head = gateway.send("HEAD", path, &[]).await;
        assert_eq!((head.status, head.body.as_str()), (200, ""));
        assert_eq!(head.field("content-length"), whole.body.len().to_string());
        for method in ["POST", "OPTIONS", "DELETE", "CANARY"] {
            let refused = gateway.send(method, path, &[]).await;
            assert_eq!((refused.status, refused.field("allow")), (405, "GET, HEAD"), "{method}");
            assert_eq!(refused.code(), "method_not_allowed");
        }
        assert_eq!(gateway.get(&format!("{path}?a")).await.code(), "bad_request");
        let body = [("Content-Length", "65537")];
        assert_eq!(gateway.send("GET", path, &body).await.status, 413);
    }
    gateway.finish().await;
}

/// A wrong credential is not judged, and costs nothing of `limits.auth_failures`.
#[tokio::test]
async fn help_needs_no_credential_and_spends_the_quota_of_the_address() {
    let origin = Origin::start().await;
    let gateway = TestGateway::configured(&origin, &with_keys(TWO));
    assert_eq!(gateway.get("/").await.json()["limits"]["left"], 1);
    let wrong = [("Authorization", "Bearer wrong")];
    assert_eq!(gateway.send("GET", "/openapi.json", &wrong).await.status, 200);
    let refused = gateway.get("/").await;
    assert_eq!((refused.status, refused.code().as_str()), (429, "throttled"));
    assert_eq!(refused.field("retry-after"), "1");
    assert_eq!(gateway.get(&versions_of(FILE)).await.status, 429, "it is the same quota");
    let key = [("Authorization", "Bearer ikg_canary")];
    assert_eq!(gateway.send("GET", "/", &key).await.status, 429, "also with a key");
    let counted =
        "ikgate_requests_total{route=\"none\",caller=\"anonymous\",status=\"200\",cache=\"none\"}";
    assert_eq!(gateway.metric(counted).await, Some(2.0));
    gateway.finish().await;
}

#[tokio::test]
async fn where_callers_need_a_credential_help_says_so_and_has_a_quota_all_the_same() {
    let origin = Origin::start().await;
    let gateway = TestGateway::configured(&origin, &with_keys("limits.anonymous = false"));
    let answer = gateway.get("/").await;
    assert_eq!(answer.find("ratelimit"), None, "callers have no such quota");
    let guide = answer.json();
    assert_eq!(guide["limits"]["anonymous"], false);
    assert!(guide["limits"]["text"].as_str().unwrap().contains("is refused"), "{guide}");
    let ways = guide["authentication"].as_array().unwrap();
    assert!(ways.iter().all(|way| way["credential"] != "none"), "{guide}");
    for _ in 0..19 {
        assert_eq!(gateway.get("/").await.status, 200);
    }
    assert_eq!(gateway.get("/").await.status, 429);
    gateway.finish().await;
}

#[tokio::test]
async fn help_that_is_off_is_a_path_like_any_other() {
    let origin = Origin::start().await;
    let gateway = TestGateway::configured(&origin, "server.help = false");
    for path in ["/", "/openapi.json"] {
        for method in ["GET", "POST"] {
            let answer = gateway.send(method, path, &[]).await;
            assert_eq!((answer.status, answer.code().as_str()), (404, "no_route"), "{path}");
        }
    }
    gateway.finish().await;
}
