//! Tests of tokens (JWT) for pages: accepted tokens, the files that they open, and refused tokens.

use std::time::Duration;

use ikgate::caller::TokenSigner;
use ikgate::config;
use serde_json::{Value, json};

use crate::support::tokens::{ISSUER, SECRET, Tokens, claims_at, hs256, signed};
use crate::support::{FILE, Origin, Reply, TestGateway, scratch, versions_of};

const LIST: &str = "[{\"versionInfo\":{\"id\":\"v1\"},\"isPrivateFile\":true}]";

#[tokio::test]
async fn a_token_lets_in_with_a_quota_for_each_subject() {
    let tokens = Tokens::start("").await;
    let (one, same) = (tokens.with(&json!({})), tokens.with(&json!({ "jti": "other" })));
    for (token, left) in [(&one, 2), (&same, 1), (&one, 0)] {
        let answer = tokens.ask(&tokens.path, token).await;
        assert_eq!(answer.status, 200, "{answer:#?}");
        assert_eq!(answer.field("ratelimit-policy"), "\"jwt\";q=3;w=3");
        let expected = format!("\"jwt\";r={left};t={}", 3 - left);
        assert_eq!(answer.field("ratelimit"), expected);
    }
    let throttled = tokens.ask(&tokens.path, &same).await;
    assert_eq!((throttled.status, throttled.field("retry-after-ms")), (429, "1000"));
    let other = tokens.with(&json!({ "sub": "user-2" }));
    assert_eq!(tokens.ask(&tokens.path, &other).await.status, 200);
    let gateway = &tokens.gateway;
    let throttled = "ikgate_throttled_total{caller=\"jwt\",limit=\"caller\"}";
    assert_eq!(gateway.metric(throttled).await, Some(1.0));
    let hits = "ikgate_requests_total{route=\"list\",caller=\"jwt\",status=\"200\",cache=\"hit\"}";
    assert_eq!(gateway.metric(hits).await, Some(3.0));
    for head in tokens.origin.requests() {
        assert!(!head.contains(&one), "{head}");
    }
    tokens.gateway.finish().await;
}

#[tokio::test]
async fn a_token_is_refused_for_every_claim_that_is_not_right() {
    let tokens = Tokens::start("limits.auth_failures = { per_second = 100, burst = 100 }").await;
    let now = tokens.now();
    for (claim, reason) in [
        ("sub", "token_subject"),
        ("iss", "token_issuer"),
        ("aud", "token_audience"),
        ("iat", "token_iat"),
        ("exp", "token_exp"),
    ] {
        tokens.refuses(&tokens.with(&json!({ claim: null })), reason).await;
        tokens.refuses(&tokens.with(&json!({ claim: {} })), reason).await;
        let message = tokens.ask(&tokens.path, &tokens.with(&json!({ claim: {} }))).await.json();
        let name = format!("'{claim}'");
        assert!(message["message"].as_str().unwrap().contains(&name), "{message}");
    }
    let files = |count: usize| vec!["f"; count];
    for (changes, reason) in [
        (json!({ "sub": "" }), "token_subject"),
        (json!({ "exp": -1 }), "token_exp"),
        (json!({ "exp": "soon" }), "token_exp"),
        (json!({ "exp": now - 30, "iat": now - 60 }), "token_expired"),
        (json!({ "iat": now + 31 }), "token_not_yet_valid"),
        (json!({ "nbf": now + 31 }), "token_not_yet_valid"),
        (json!({ "exp": now + 3601 }), "token_lifetime"),
        (json!({ "exp": 1e300 }), "token_exp"),
        (json!({ "iss": "https://app.example.com.evil.example" }), "token_issuer"),
        (json!({ "aud": "other" }), "token_audience"),
        (json!({ "aud": ["other", "another"] }), "token_audience"),
        (json!({ "files": files(257) }), "token_files"),
        (json!({ "files": ["a/b"] }), "token_files"),
        (json!({ "files": "f" }), "token_files"),
        (json!({ "files": [null] }), "token_files"),
        (json!({ "padding": "x".repeat(3000) }), "token_too_long"),
    ] {
        tokens.refuses(&tokens.with(&changes), reason).await;
    }
    assert_eq!(tokens.origin.requests(), Vec::<String>::new());
    for changes in [
        json!({ "aud": ["other", "ikgate"] }),
        json!({ "sub": "user-2", "iat": now + 30, "exp": now + 3630 }),
        json!({ "sub": "user-3", "iat": now - 60, "exp": now - 29 }),
        json!({ "sub": "user-4", "nbf": now + 30, "exp": Duration::from_secs(now + 1).as_secs_f64() + 0.5 }),
    ] {
        let answer = tokens.ask(&tokens.path, &tokens.with(&changes)).await;
        assert_eq!(answer.status, 200, "{changes}: {answer:#?}");
    }
    tokens.gateway.finish().await;
}

#[tokio::test]
async fn a_token_that_is_not_signed_as_configured_is_refused() {
    let tokens = Tokens::start("").await;
    let (claims, secret) = (tokens.claims(), SECRET);
    let with = |header: Value| signed(&header, &claims, secret);
    tokens.refuses(&with(json!({ "alg": "none" })), "token_algorithm").await;
    let unsigned = with(json!({ "alg": "none" }));
    let unsigned = unsigned.rsplit_once('.').unwrap().0;
    tokens.refuses(&format!("{unsigned}."), "token_algorithm").await;
    for algorithm in ["NONE", "hs256", "HS384", "RS256", "EdDSA", ""] {
        tokens.refuses(&with(json!({ "alg": algorithm })), "token_algorithm").await;
    }
    for crit in [json!(["exp"]), json!([]), json!("b64"), json!(null)] {
        tokens.refuses(&with(json!({ "alg": "HS256", "crit": crit })), "token_critical").await;
    }
    tokens.refuses(&signed(&hs256(), &claims, "another secret"), "token_signature").await;
    tokens.refuses(&with(json!({ "alg": "HS256", "kid": 7 })), "token_malformed").await;
    // A `null` is refused, because it is no list: some back ends write an empty list so.
    let mut null = claims.clone();
    null["files"] = Value::Null;
    tokens.refuses(&signed(&hs256(), &null, secret), "token_files").await;
    let good = tokens.with(&json!({}));
    let (message, signature) = good.rsplit_once('.').unwrap();
    tokens.refuses(&format!("{message}."), "token_signature").await;
    tokens.refuses(&format!("{message}.{signature}AAAA"), "token_signature").await;
    tokens.refuses(&format!("{message}.{signature}="), "token_malformed").await;
    tokens.refuses("a.b.c", "token_malformed").await;
    tokens.refuses("..", "token_malformed").await;
    tokens.refuses("a.b", "no_callers").await;
    tokens.refuses(&format!("{good}.x"), "no_callers").await;
    assert_eq!(tokens.ask(&tokens.path, &good).await.status, 200);
    tokens.gateway.finish().await;
}

#[tokio::test]
async fn a_token_is_not_accepted_after_it_has_expired_though_it_was_before() {
    let tokens = Tokens::start("").await;
    let token = tokens.with(&json!({}));
    assert_eq!(tokens.ask(&tokens.path, &token).await.status, 200);
    tokens.gateway.clock.advance(Duration::from_millis(329_999));
    assert_eq!(tokens.ask(&tokens.path, &token).await.status, 200);
    tokens.gateway.clock.advance(Duration::from_millis(1));
    tokens.refuses(&token, "token_expired").await;
    tokens.refuses(&token, "token_expired").await;
    tokens.gateway.finish().await;
}

#[tokio::test]
async fn a_token_opens_its_own_files_private_ones_included_and_no_others() {
    let tokens = Tokens::start("").await;
    let private = versions_of("private");
    tokens.origin.replies(&private, Reply::json(200, LIST));
    let (all, none) = (tokens.with(&json!({})), tokens.with(&json!({ "files": [] })));
    let some = tokens.with(&json!({ "sub": "user-2", "files": ["zzz", "private", "aaa"] }));
    let other = tokens.with(&json!({ "sub": "user-3", "files": [FILE] }));
    assert_eq!(tokens.ask(&private, &some).await.body, LIST);
    assert_eq!(tokens.ask(&format!("{private}/v1"), &some).await.status, 200);
    let hidden = tokens.ask(&private, &all).await;
    assert_eq!((hidden.status, hidden.code().as_str()), (404, "not_found"));
    for (path, token) in [(&private, &other), (&tokens.path, &some), (&tokens.path, &none)] {
        let forbidden = tokens.ask(path, token).await;
        assert_eq!((forbidden.status, forbidden.code().as_str()), (403, "forbidden"), "{path}");
        assert_eq!(forbidden.find("ratelimit"), None, "no quota was looked at");
    }
    assert_eq!(tokens.ask(&tokens.path, &other).await.status, 200);
    tokens.gateway.finish().await;
}

#[tokio::test]
async fn while_an_address_may_not_fail_only_tokens_verified_before_still_pass() {
    let more = "server.trusted_proxies = [\"127.0.0.1\"]\n\
                limits.auth_failures = { per_second = 1, burst = 2 }";
    let tokens = Tokens::start(more).await;
    let from = async |address: &str, token: &str| {
        let value = format!("Bearer {token}");
        let fields = [("X-Forwarded-For", address), ("Authorization", value.as_str())];
        tokens.gateway.send("GET", &tokens.path, &fields).await
    };
    let (sprayer, known) = ("198.51.100.1", tokens.with(&json!({ "jti": "known" })));
    assert_eq!(from(sprayer, &known).await.status, 200);
    let wrong = signed(&hs256(), &tokens.claims(), "another secret");
    for expected in [401, 401, 429, 429] {
        assert_eq!(from(sprayer, &wrong).await.status, expected);
    }
    let signature = "ikgate_auth_failures_total{reason=\"token_signature\"}";
    assert_eq!(tokens.gateway.metric(signature).await, Some(2.0), "the others were not verified");
    let good = tokens.with(&json!({ "jti": "new", "sub": "user-2" }));
    let refused = from(sprayer, &good).await;
    assert_eq!((refused.status, refused.field("x-ratelimit-limit")), (429, "2"), "not looked at");
    assert_eq!(from(sprayer, &known).await.status, 200, "verified before");
    assert_eq!(from("198.51.100.2", &good).await.status, 200, "another address");
    assert_eq!(from(sprayer, &good).await.status, 200, "verified by now");
    tokens.gateway.clock.advance(Duration::from_secs(1));
    assert_eq!(from(sprayer, &tokens.with(&json!({ "jti": "newer" }))).await.status, 200);
    tokens.gateway.finish().await;
}

/// The three algorithms with a public key: the key that the gateway holds cannot sign.
#[tokio::test]
async fn tokens_of_key_pairs_are_accepted_and_of_other_pairs_refused() {
    let kinds: [(&str, &rcgen::SignatureAlgorithm); 3] = [
        ("EdDSA", &rcgen::PKCS_ED25519),
        ("ES256", &rcgen::PKCS_ECDSA_P256_SHA256),
        ("RS256", &rcgen::PKCS_RSA_SHA256),
    ];
    for (algorithm, kind) in kinds {
        let files = scratch();
        let [own, other] = ["own", "other"].map(|name| {
            let pair = rcgen::KeyPair::generate_for(kind).unwrap();
            let file = |end: &str| files.path().join(format!("{name}.{end}"));
            std::fs::write(file("pem"), pair.serialize_pem()).unwrap();
            std::fs::write(file("pub"), pair.public_key_pem()).unwrap();
            name
        });
        let jwt = |name: &str| {
            let key_file = files.path().join(format!("{name}.pub"));
            let key_file = key_file.display();
            format!(
                "[jwt]\nalgorithm = \"{algorithm}\"\nkey_file = '{key_file}'\nissuer = \"{ISSUER}\""
            )
        };
        let origin = Origin::start().await;
        let path = versions_of(FILE);
        origin.replies(&path, Reply::json(200, "[]"));
        let gateway = TestGateway::configured(&origin, &jwt(own));
        let now = gateway.clock.unix_time();
        let token = |name: &str, key: &str| {
            let config = files.path().join("ikgate.toml");
            std::fs::write(&config, jwt(name)).unwrap();
            let settings = config::tokens(&config, []).unwrap();
            let key = files.path().join(format!("{key}.pem"));
            let claims = claims_at(now);
            TokenSigner::new(&settings, Some(&key)).unwrap().sign(&claims, now)
        };
        let ask = async |token: &str| {
            let value = format!("Bearer {token}");
            gateway.send("GET", &path, &[("Authorization", &value)]).await.status
        };
        assert_eq!(ask(token(own, own).unwrap().expose()).await, 200, "{algorithm}");
        assert_eq!(ask(token(other, other).unwrap().expose()).await, 401, "{algorithm}");
        assert!(token(own, other).is_err(), "{algorithm}: signed what would be refused");
        // Key confusion: the public key is no secret, so it must not work as an HMAC secret.
        let public = std::fs::read_to_string(files.path().join("own.pub")).unwrap();
        let (iat, exp) = (now.as_secs(), now.as_secs() + 300);
        let claims = json!({ "sub": "a", "iss": ISSUER, "aud": "ikgate", "iat": iat, "exp": exp });
        for header in [hs256(), json!({ "alg": algorithm })] {
            for secret in [public.as_str(), public.trim()] {
                assert_eq!(ask(&signed(&header, &claims, secret)).await, 401, "{algorithm}");
            }
        }
        gateway.finish().await;
    }
}
