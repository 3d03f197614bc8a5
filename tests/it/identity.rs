//! Tests of caller authentication: accepted credentials, and the errors for refused ones.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use ikgate::caller::KeyDigest;

use crate::support::{FILE, Origin, Reply, TestGateway, versions_of};

fn callers() -> String {
    let (all, some) = (KeyDigest::of("ikg_all"), KeyDigest::of("ikg_some"));
    format!(
        "[[callers]]\nname = \"all\"\nkey_sha256 = \"{all}\"\n\
         [[callers]]\nname = \"some\"\nkey_sha256 = [\"{some}\"]\nfiles = [\"{FILE}\"]\n"
    )
}

fn basic(pair: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(pair))
}

#[tokio::test]
async fn a_key_lets_in_as_bearer_and_as_an_sdk_sends_it_and_goes_no_further() {
    let origin = Origin::start().await;
    let path = versions_of(FILE);
    origin.replies(&path, Reply::json(200, "[]"));
    let gateway = TestGateway::configured(&origin, &callers());
    for value in ["Bearer ikg_all", &basic("ikg_all:do_not_set"), &basic("ikg_some:")] {
        let answer = gateway.send("GET", &path, &[("Authorization", value)]).await;
        assert_eq!(answer.status, 200, "{value}");
        gateway.purge("/api/cache").await;
    }
    let ours = basic("private_canary=:");
    for head in origin.requests() {
        assert!(head.contains(&ours), "{head}");
        assert!(!head.contains("ikg_"), "{head}");
    }
    gateway.finish().await;
}

#[tokio::test]
async fn a_key_lets_in_with_any_case_of_its_scheme_and_any_octets_of_its_password() {
    let origin = Origin::start().await;
    let path = versions_of(FILE);
    origin.replies(&path, Reply::json(200, "[]"));
    let gateway = TestGateway::configured(&origin, &callers());
    let pair = BASE64_STANDARD.encode(b"ikg_all:p\xe4ssword\xff:\0");
    for scheme in ["Basic", "basic", "BASIC", "bAsIc"] {
        let value = format!("{scheme} {pair}");
        let answer = gateway.send("GET", &path, &[("Authorization", &value)]).await;
        assert_eq!(answer.status, 200, "{scheme}");
    }
    gateway.finish().await;
}

#[tokio::test]
async fn a_basic_user_name_with_a_control_character_is_refused() {
    let origin = Origin::start().await;
    let gateway = TestGateway::configured(&origin, &callers());
    for name in ["ikg_all\0", "\u{1}ikg_all", "ikg_all\r\n", "ikg\t_all", "ikg_all\u{7f}"] {
        let value = basic(&format!("{name}:"));
        let refused = gateway.send("GET", &versions_of(FILE), &[("Authorization", &value)]).await;
        assert_eq!((refused.status, refused.code().as_str()), (401, "unauthorized"), "{name:?}");
    }
    let malformed = "ikgate_auth_failures_total{reason=\"malformed\"}";
    assert_eq!(gateway.metric(malformed).await, Some(5.0));
    gateway.finish().await;
}

#[tokio::test]
async fn a_wrong_credential_is_refused_even_where_none_would_do() {
    let origin = Origin::start().await;
    let gateway = TestGateway::configured(&origin, &callers());
    let path = versions_of(FILE);
    for value in ["Bearer ikg_other", "Bearer", "Basic !!!", "Digest x=y", "ikg_all", ""] {
        let refused = gateway.send("GET", &path, &[("Authorization", value)]).await;
        assert_eq!((refused.status, refused.code().as_str()), (401, "unauthorized"), "{value}");
        assert_eq!(refused.field("www-authenticate"), "Bearer");
        assert_eq!(refused.field("x-should-retry"), "false");
        assert_eq!(refused.find("ratelimit"), None);
    }
    let twice = [("Authorization", "Bearer ikg_all"), ("Authorization", "Bearer ikg_all")];
    let refused = gateway.send("GET", &path, &twice).await;
    assert_eq!((refused.status, refused.code().as_str()), (400, "bad_request"));
    assert_eq!(origin.requests(), Vec::<String>::new());
    gateway.finish().await;
}

#[tokio::test]
async fn an_imagekit_key_sent_by_mistake_is_answered_with_advice_and_not_repeated() {
    let origin = Origin::start().await;
    let gateway = TestGateway::configured(&origin, &callers());
    for value in ["Bearer private_leaked=", &basic("private_leaked=:")] {
        let refused = gateway.send("GET", &versions_of(FILE), &[("Authorization", value)]).await;
        assert_eq!(refused.code(), "unauthorized");
        assert!(refused.json()["help"].as_str().unwrap().contains("roll it"), "{refused:#?}");
        assert!(!format!("{refused:?}").contains("leaked="), "{refused:#?}");
    }
    let counted = "ikgate_auth_failures_total{reason=\"imagekit_key\"}";
    assert_eq!(gateway.metric(counted).await, Some(2.0));
    gateway.finish().await;
}

#[tokio::test]
async fn a_key_for_some_files_does_not_open_others() {
    let origin = Origin::start().await;
    let gateway = TestGateway::configured(&origin, &callers());
    let key = [("Authorization", "Bearer ikg_some")];
    let refused = gateway.send("GET", &versions_of("other"), &key).await;
    assert_eq!((refused.status, refused.code().as_str()), (403, "forbidden"));
    assert_eq!(origin.requests(), Vec::<String>::new());
    gateway.finish().await;
}

#[tokio::test]
async fn a_request_for_a_file_that_a_key_does_not_cover_spends_none_of_its_quota() {
    let origin = Origin::start().await;
    origin.replies(&versions_of(FILE), Reply::json(200, "[]"));
    let digest = KeyDigest::of("ikg_one");
    let gateway = TestGateway::configured(
        &origin,
        &format!(
            "[[callers]]\nname = \"one\"\nkey_sha256 = \"{digest}\"\nfiles = [\"{FILE}\"]\n\
             quota = {{ per_second = 1, burst = 1 }}"
        ),
    );
    let key = [("Authorization", "Bearer ikg_one")];
    for _ in 0..10 {
        assert_eq!(gateway.send("GET", &versions_of("other"), &key).await.status, 403);
    }
    assert_eq!(gateway.send("GET", &versions_of(FILE), &key).await.status, 200);
    assert_eq!(gateway.send("GET", &versions_of(FILE), &key).await.status, 429);
    gateway.finish().await;
}

#[tokio::test]
async fn without_a_key_no_caller_is_served_where_anonymous_callers_are_refused() {
    let origin = Origin::start().await;
    let gateway =
        TestGateway::configured(&origin, &format!("limits.anonymous = false\n{}", callers()));
    let refused = gateway.get(&versions_of(FILE)).await;
    assert_eq!((refused.status, refused.code().as_str()), (401, "unauthorized"));
    assert_eq!(refused.field("www-authenticate"), "Bearer", "and no error: nothing was sent");
    let key = [("Authorization", "Bearer ikg_all")];
    assert_eq!(gateway.send("GET", &versions_of(FILE), &key).await.status, 404);
    gateway.finish().await;
}
