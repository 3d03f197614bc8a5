//! Tests of tokens that are verified with the published keys of an identity provider: fetch,
//! rotation, outage, and keys that must not be used.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::signers::{KEYS, Signer, key_set, with};
use crate::support::tokens::{Tokens, section, signed};
use crate::support::{Origin, Program, Reply, get, scratch};

/// Limits that no test reaches by polling.
const MORE: &str = "limits.auth_failures = { per_second = 1000000, burst = 1000000 }";
const QUOTA: &str = "quota = { per_second = 1000000, burst = 1000000 }";

/// Time after a failed fetch while a key set is in force.
const RETRY: Duration = Duration::from_mins(1);
/// Shortest time between two fetches.
const INTERVAL: Duration = Duration::from_secs(10);

fn jwt(provider: &Origin) -> String {
    format!("jwks_url = \"http://{}{KEYS}\"\n{QUOTA}", provider.address)
}

async fn start(provider: &Origin) -> Tokens {
    Tokens::with_keys(MORE, &jwt(provider), scratch()).await
}

/// Returns claims that are valid for an hour.
fn claims(tokens: &Tokens) -> Value {
    with(tokens.claims(), &json!({ "exp": tokens.now() + 3600 }))
}

#[tokio::test]
async fn keys_are_fetched_at_the_start_and_no_request_waits_for_them() {
    let (provider, rs, es) = (Origin::start().await, Signer::rs256("r"), Signer::es256("e"));
    provider.publishes(&[rs.jwk(), es.jwk()]);
    provider.hold(KEYS);
    let tokens = start(&provider).await;
    let own = [rs.signed(&claims(&tokens)), es.signed(&claims(&tokens))];
    provider.has_seen(KEYS, 1).await;
    tokens.refuses(&own[0], "no_keys").await;
    provider.release(KEYS);
    for token in &own {
        tokens.becomes(token, 200).await;
    }
    tokens.refuses(&es.signed_as(None, &tokens.claims()), "unknown_kid").await;
    tokens.refuses(&es.signed_as(Some("r"), &tokens.claims()), "token_algorithm").await;
    let other = Signer::es256("e");
    tokens.refuses(&other.signed(&tokens.claims()), "token_signature").await;
    let head = &provider.requests()[0].to_lowercase();
    assert!(head.contains("accept: application/jwk-set+json"), "{head}");
    assert!(!head.contains("authorization"), "{head}");
    tokens.gateway.finish().await;
}

#[tokio::test]
async fn a_new_key_is_accepted_after_one_fetch_and_a_withdrawn_one_drops_its_tokens() {
    let provider = Origin::start().await;
    let [old, new] = ["old", "new"].map(Signer::es256);
    provider.publishes(&[old.jwk()]);
    let tokens = start(&provider).await;
    let claims = claims(&tokens);
    let old = old.signed(&claims);
    tokens.becomes(&old, 200).await;
    provider.publishes(&[new.jwk()]);
    tokens.refuses(&new.signed(&claims), "unknown_kid").await;
    tokens.gateway.clock.advance(INTERVAL);
    tokens.becomes(&new.signed(&claims), 200).await;
    assert_eq!(provider.requests_for(KEYS), 2);
    tokens.refuses(&old, "unknown_kid").await;
    tokens.gateway.finish().await;
}

#[tokio::test]
async fn a_key_that_changes_under_the_same_kid_drops_the_tokens_of_the_old_one() {
    let provider = Origin::start().await;
    let [old, new, kept] = ["same", "same", "kept"].map(Signer::es256);
    provider.publishes(&[old.jwk(), kept.jwk()]);
    let tokens = start(&provider).await;
    let claims = claims(&tokens);
    let (before, stays) = (old.signed(&claims), kept.signed(&claims));
    tokens.becomes(&before, 200).await;
    tokens.becomes(&stays, 200).await;
    provider.publishes(&[kept.jwk(), new.jwk()]);
    tokens.gateway.clock.advance(Duration::from_mins(10));
    tokens.becomes(&new.signed(&claims), 200).await;
    tokens.refuses(&before, "token_signature").await;
    assert_eq!(tokens.ask(&tokens.path, &stays).await.status, 200);
    tokens.gateway.finish().await;
}

#[tokio::test]
async fn unknown_kids_cause_at_most_one_fetch_in_ten_seconds() {
    let (provider, signer) = (Origin::start().await, Signer::es256("a"));
    provider.publishes(&[signer.jwk()]);
    let tokens = start(&provider).await;
    let claims = claims(&tokens);
    tokens.becomes(&signer.signed(&claims), 200).await;
    for fetches in 2..4 {
        for place in 0..20 {
            let kid = format!("made-up-{fetches}-{place}");
            tokens.refuses(&signer.signed_as(Some(&kid), &claims), "unknown_kid").await;
        }
        tokens.gateway.clock.advance(Duration::from_millis(9_999));
        tokens.refuses(&signer.signed_as(Some("made-up"), &claims), "unknown_kid").await;
        assert_eq!(provider.requests_for(KEYS), fetches - 1);
        tokens.gateway.clock.advance(Duration::from_millis(1));
        provider.has_seen(KEYS, fetches).await;
        assert_eq!(provider.requests_for(KEYS), fetches);
    }
    tokens.gateway.finish().await;
}

#[tokio::test]
async fn while_the_provider_fails_the_last_good_set_stays_in_force() {
    let (provider, old, new) = (Origin::start().await, Signer::es256("old"), Signer::es256("new"));
    provider.publishes(&[old.jwk()]);
    provider.replies("/elsewhere", key_set(&[new.jwk()]));
    let tokens = start(&provider).await;
    let claims = claims(&tokens);
    tokens.becomes(&old.signed(&claims), 200).await;
    let redirect = Reply::with_fields(302, "Location: /elsewhere\r\n", "");
    let long = json!({ "keys": [new.jwk()] }).to_string() + &" ".repeat(256 * 1024);
    let chunked = format!(
        "HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{long}\r\n0\r\n\r\n",
        long.len()
    );
    let short = b"HTTP/1.1 200 X\r\nContent-Length: 100\r\n\r\n{\"keys\":[]}".to_vec();
    let mut wait = Duration::from_mins(10);
    for (fetches, reply) in [
        Reply::json(500, &json!({ "keys": [new.jwk()] }).to_string()),
        redirect,
        Reply::json(200, &long),
        Reply::Bytes(chunked.into_bytes()),
        key_set(&vec![json!(7); 65]),
        Reply::json(200, "<html>"),
        Reply::with_fields(200, "Content-Encoding: gzip\r\n", "x"),
        Reply::BytesThenReset(short),
        key_set(&[old.jwk(), new.jwk()]),
    ]
    .into_iter()
    .enumerate()
    {
        provider.replies(KEYS, reply);
        tokens.gateway.clock.advance(wait);
        provider.has_seen(KEYS, fetches + 2).await;
        // The response before this one has been read.
        wait = RETRY;
        assert_eq!(tokens.ask(&tokens.path, &old.signed(&claims)).await.status, 200, "{fetches}");
    }
    tokens.becomes(&new.signed(&claims), 200).await;
    assert_eq!(provider.requests_for("/elsewhere"), 0);
    for (outcome, count) in [("failed", 8.0), ("fetched", 2.0)] {
        let series = format!("ikgate_key_set_fetches_total{{outcome=\"{outcome}\"}}");
        assert_eq!(tokens.gateway.metric(&series).await, Some(count), "{outcome}");
    }
    tokens.gateway.finish().await;
}

#[tokio::test]
async fn a_provider_that_is_down_at_the_start_is_tried_every_ten_seconds() {
    let (provider, signer) = (Origin::start().await, Signer::es256("a"));
    provider.replies(KEYS, Reply::json(503, "{}"));
    let tokens = start(&provider).await;
    let claims = claims(&tokens);
    for fetches in 1..4 {
        provider.has_seen(KEYS, fetches).await;
        tokens.refuses(&signer.signed(&claims), "no_keys").await;
        if fetches == 3 {
            provider.publishes(&[signer.jwk()]);
        }
        tokens.gateway.clock.advance(INTERVAL);
    }
    tokens.becomes(&signer.signed(&claims), 200).await;
    assert_eq!(provider.requests_for(KEYS), 4);
    tokens.gateway.finish().await;
}

#[tokio::test]
async fn a_token_that_cannot_be_checked_yet_may_be_sent_again_and_spends_nothing() {
    let (provider, signer) = (Origin::start().await, Signer::es256("a"));
    provider.publishes(&[signer.jwk()]);
    provider.hold(KEYS);
    let more = "limits.auth_failures = { per_second = 1, burst = 1 }";
    let tokens = Tokens::with_keys(more, &jwt(&provider), scratch()).await;
    let token = signer.signed(&claims(&tokens));
    for _ in 0..3 {
        let answer = tokens.ask(&tokens.path, &token).await;
        assert_eq!(answer.status, 401);
        assert_eq!(answer.find("x-should-retry"), None);
    }
    provider.release(KEYS);
    tokens.becomes(&token, 200).await;
    tokens.gateway.finish().await;
}

#[tokio::test]
async fn a_key_is_used_only_as_it_is_meant() {
    let provider = Origin::start().await;
    let (rsa, other, ed) = (Signer::rs256("rsa"), Signer::es256("es"), Signer::ed25519("ed"));
    let n = rsa.jwk()["n"].as_str().unwrap().to_owned();
    let changed = |changes: Value| with(with(rsa.jwk(), &json!({ "kid": "x" })), &changes);
    let skipped = [
        changed(json!({ "kid": "enc", "use": "enc" })),
        changed(json!({ "kid": "sign", "key_ops": ["sign"] })),
        changed(json!({ "kid": "ps", "alg": "PS256" })),
        changed(json!({ "kid": "small", "n": &n[..172] })),
        json!({ "kty": "oct", "kid": "oct", "k": n }),
        ed.jwk(),
    ];
    let keys = [&[rsa.jwk(), other.jwk()], &skipped[..]].concat();
    provider.publishes(&keys);
    let tokens = start(&provider).await;
    let claims = claims(&tokens);
    tokens.becomes(&rsa.signed(&claims), 200).await;
    for kid in ["enc", "sign", "ps", "small", "oct", "ed"] {
        tokens.refuses(&rsa.signed_as(Some(kid), &claims), "unknown_kid").await;
    }
    tokens.refuses(&ed.signed(&claims), "token_algorithm").await;
    // Key confusion: the published key is no secret, so it must not work as an HMAC secret.
    for secret in [rsa.public().as_str(), rsa.public().trim(), &n] {
        for kid in ["rsa", "oct"] {
            let header = json!({ "alg": "HS256", "kid": kid });
            tokens.refuses(&signed(&header, &claims, secret), "token_algorithm").await;
            let header = json!({ "alg": "RS256", "kid": "rsa" });
            tokens.refuses(&signed(&header, &claims, secret), "token_signature").await;
        }
    }
    let none = json!({ "alg": "none", "kid": "rsa" });
    tokens.refuses(&signed(&none, &claims, ""), "token_algorithm").await;
    tokens.gateway.finish().await;
}

#[tokio::test]
async fn keys_of_other_algorithms_than_the_configured_ones_are_not_used() {
    let (provider, ed, es) = (Origin::start().await, Signer::ed25519("ed"), Signer::es256("es"));
    provider.publishes(&[es.jwk(), ed.jwk()]);
    let jwt = format!("{}\nalgorithms = [\"EdDSA\"]", jwt(&provider));
    let tokens = Tokens::with_keys(MORE, &jwt, scratch()).await;
    tokens.becomes(&ed.signed(&tokens.claims()), 200).await;
    tokens.refuses(&es.signed(&tokens.claims()), "token_algorithm").await;
    tokens.refuses(&ed.signed_as(Some("es"), &tokens.claims()), "unknown_kid").await;
    tokens.gateway.finish().await;
}

#[tokio::test]
async fn a_reload_keeps_the_keys_of_the_same_provider_and_follows_another() {
    let (first, second) = (Origin::start().await, Origin::start().await);
    let (own, other) = (Signer::es256("a"), Signer::es256("a"));
    first.publishes(&[own.jwk()]);
    second.publishes(&[other.jwk()]);
    let mut tokens = start(&first).await;
    let claims = claims(&tokens);
    tokens.becomes(&own.signed(&claims), 200).await;
    let changed = section(MORE, &format!("{}\naudience = \"other\"", jwt(&first)));
    tokens.gateway.reload(&changed);
    tokens.refuses(&own.signed(&claims), "token_audience").await;
    let aud = with(claims.clone(), &json!({ "aud": "other" }));
    assert_eq!(tokens.ask(&tokens.path, &own.signed(&aud)).await.status, 200);
    assert_eq!(first.requests_for(KEYS), 1);
    tokens.gateway.reload(&section(MORE, &jwt(&second)));
    tokens.becomes(&other.signed(&claims), 200).await;
    tokens.refuses(&own.signed(&claims), "token_signature").await;
    tokens.gateway.clock.advance(Duration::from_mins(10));
    second.has_seen(KEYS, 2).await;
    assert_eq!(first.requests_for(KEYS), 1, "the first provider is not followed any more");
    tokens.gateway.finish().await;
}

#[tokio::test]
async fn a_reload_of_the_algorithms_keeps_the_keys_that_remain_though_the_provider_is_down() {
    let (provider, es, ed) = (Origin::start().await, Signer::es256("es"), Signer::ed25519("ed"));
    provider.publishes(&[es.jwk(), ed.jwk()]);
    let both = format!("{}\nalgorithms = [\"ES256\", \"EdDSA\"]", jwt(&provider));
    let mut tokens = Tokens::with_keys(MORE, &both, scratch()).await;
    let claims = claims(&tokens);
    tokens.becomes(&es.signed(&claims), 200).await;
    tokens.becomes(&ed.signed(&claims), 200).await;
    provider.replies(KEYS, Reply::json(503, "{}"));
    let one = format!("{}\nalgorithms = [\"ES256\"]", jwt(&provider));
    tokens.gateway.reload(&section(MORE, &one));
    provider.has_seen(KEYS, 2).await;
    assert_eq!(tokens.ask(&tokens.path, &es.signed(&claims)).await.status, 200);
    tokens.refuses(&ed.signed(&claims), "token_algorithm").await;
    tokens.gateway.finish().await;
}

#[tokio::test]
async fn a_key_set_that_cannot_be_fetched_is_logged_with_the_cause() {
    let directory = scratch();
    let config = directory.path().join("ikgate.toml");
    let text = "[server]\nlisten = [\"127.0.0.1:0\"]\n[admin]\nlisten = \"127.0.0.1:0\"\n\
                [telemetry]\nformat = \"json\"\n";
    std::fs::write(&config, text).unwrap();
    let program = Program::serve(&config, &[("IMAGEKIT_PRIVATE_KEY", "private_a=")]);
    let jwt = "[jwt]\nissuer = \"a\"\njwks_url = \"http://127.0.0.1:1/\"";
    std::fs::write(&config, format!("{text}{jwt}")).unwrap();
    program.signal("HUP");
    let none = "ikgate_key_set_fetches_total{outcome=\"failed\"} 0\n";
    let failed = async { while get(program.admin, "/metrics").await.body.contains(none) {} };
    tokio::time::timeout(Duration::from_secs(20), failed).await.unwrap();
    program.signal("TERM");
    let (_, log) = program.wait();
    let is_told = |line: &str| {
        line.contains("the key set cannot be fetched") && line.contains("Connection refused")
    };
    assert!(log.lines().any(is_told), "{log}");
}
