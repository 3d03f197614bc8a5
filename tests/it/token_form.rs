//! Tests of the form of tokens: header members and claims that are read, ignored or refused (RFC
//! 7515, RFC 7519, RFC 8725).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD, Engine as _};
use serde_json::{Value, json};

use crate::shared::listen;
use crate::support::tokens::{ISSUER, SECRET, Tokens, hs256, signed, signed_bytes};

const HS256: &[u8] = b"{\"alg\":\"HS256\"}";

impl Tokens {
    async fn accepts(&self, token: &str) -> bool {
        self.ask(&self.path, token).await.status == 200
    }

    /// Signs a token with valid claims and this header.
    fn under(&self, header: &Value) -> String {
        signed(header, &self.claims(), SECRET)
    }
}

#[tokio::test]
async fn claims_that_are_no_object_are_refused() {
    let tokens = Tokens::start("").await;
    let claims = tokens.claims().to_string();
    let list = format!("[{claims}]");
    let text = json!(claims).to_string();
    // Claims in an order that a reader may expect.
    let now = tokens.now();
    let values = json!(["user-1", ISSUER, "ikgate", now + 300, now, now, ["a"]]).to_string();
    let five = json!(["user-1", ISSUER, "ikgate", now + 300, now]).to_string();
    for payload in ["", "null", "7", "true", &list, &values, &five, &text, &claims[1..], "{}x"] {
        let token = signed_bytes(HS256, payload.as_bytes(), SECRET);
        tokens.refuses(&token, "token_claims").await;
    }
    let spaced = format!(" \t\r\n{claims} ");
    assert!(tokens.accepts(&signed_bytes(HS256, spaced.as_bytes(), SECRET)).await);
    tokens.gateway.finish().await;
}

#[tokio::test]
async fn claims_that_are_not_utf_8_throughout_are_refused() {
    let tokens = Tokens::start("").await;
    let claims = tokens.claims().to_string();
    for more in [
        &b",\"name\":\"\xff\"}"[..],
        b",\"name\":{\"first\":[\"\xc3\x28\"]}}",
        // A lone surrogate, and an overlong encoding.
        b",\"n\xed\xa0\x80\":1}",
        b",\"name\":\"\xc0\xaf\"}",
    ] {
        let payload = [claims.trim_end_matches('}').as_bytes(), more].concat();
        tokens.refuses(&signed_bytes(HS256, &payload, SECRET), "token_claims").await;
    }
    let payload = [b"\xef\xbb\xbf", claims.as_bytes()].concat();
    tokens.refuses(&signed_bytes(HS256, &payload, SECRET), "token_claims").await;
    assert!(tokens.accepts(&tokens.with(&json!({ "name": "Zoë" }))).await);
    tokens.gateway.finish().await;
}

#[tokio::test]
async fn a_claim_or_header_parameter_that_comes_twice_is_refused() {
    let tokens = Tokens::start("").await;
    let claims = tokens.claims().to_string();
    let twice = format!("{},\"sub\":\"user-2\"}}", claims.trim_end_matches('}'));
    tokens.refuses(&signed_bytes(HS256, twice.as_bytes(), SECRET), "token_claims").await;
    for header in ["{\"alg\":\"none\",\"alg\":\"HS256\"}", "{\"alg\":\"HS256\",\"alg\":\"HS256\"}"]
    {
        let token = signed_bytes(header.as_bytes(), claims.as_bytes(), SECRET);
        tokens.refuses(&token, "token_malformed").await;
    }
    tokens.gateway.finish().await;
}

#[tokio::test]
async fn issuer_and_audience_are_compared_with_regard_to_case() {
    let tokens = Tokens::start("").await;
    let issuer = ISSUER.to_uppercase();
    tokens.refuses(&tokens.with(&json!({ "iss": issuer })), "token_issuer").await;
    tokens.refuses(&tokens.with(&json!({ "aud": "Ikgate" })), "token_audience").await;
    tokens.refuses(&tokens.with(&json!({ "aud": ["IKGATE"] })), "token_audience").await;
    tokens.gateway.finish().await;
}

#[tokio::test]
async fn an_nbf_that_is_there_must_be_a_date() {
    let tokens = Tokens::start("").await;
    for nbf in [json!(null), json!("0"), json!(true), json!([0]), json!(-1)] {
        let mut claims = tokens.claims();
        claims["nbf"] = nbf;
        tokens.refuses(&signed(&hs256(), &claims, SECRET), "token_nbf").await;
    }
    assert!(tokens.accepts(&tokens.with(&json!({ "nbf": 0.5 }))).await);
    tokens.gateway.finish().await;
}

#[tokio::test]
async fn a_token_that_says_it_holds_another_is_refused() {
    let tokens = Tokens::start("").await;
    for cty in [json!("JWT"), json!("jwt"), json!(""), json!(null), json!(7)] {
        let token = tokens.under(&json!({ "alg": "HS256", "cty": cty }));
        tokens.refuses(&token, "token_malformed").await;
    }
    tokens.gateway.finish().await;
}

#[tokio::test]
async fn an_unknown_header_parameter_is_ignored_and_typ_may_be_missing() {
    let tokens = Tokens::start("").await;
    for header in [
        json!({ "alg": "HS256" }),
        json!({ "alg": "HS256", "typ": "JWT" }),
        json!({ "alg": "HS256", "typ": "jwt", "kid": "any" }),
        json!({ "alg": "HS256", "ALG": "none", "Crit": ["exp"], "b64x": [1, { "a": null }] }),
    ] {
        let token = tokens.under(&header);
        tokens.gateway.clock.advance(std::time::Duration::from_secs(1));
        assert!(tokens.accepts(&token).await, "{header}");
    }
    tokens.gateway.finish().await;
}

#[tokio::test]
async fn a_header_without_alg_is_refused() {
    let tokens = Tokens::start("").await;
    for header in [json!({}), json!({ "typ": "JWT" }), json!({ "alg": null }), json!({ "alg": 7 })]
    {
        tokens.refuses(&tokens.under(&header), "token_malformed").await;
    }
    tokens.gateway.finish().await;
}

#[tokio::test]
async fn a_header_that_is_no_object_in_utf_8_is_refused() {
    let tokens = Tokens::start("").await;
    let claims = tokens.claims().to_string();
    for header in [
        &b""[..],
        b"null",
        b"\"HS256\"",
        b"[{\"alg\":\"HS256\"}]",
        b"{\"alg\":\"HS256\"",
        b"{\"alg\":\"HS256\"} x",
        b"{\"alg\":\"HS256\",\"x\":\"\xff\"}",
        b"{\"alg\":\"HS256\",\"\xc3\x28\":1}",
        b"\xef\xbb\xbf{\"alg\":\"HS256\"}",
    ] {
        let token = signed_bytes(header, claims.as_bytes(), SECRET);
        tokens.refuses(&token, "token_malformed").await;
    }
    tokens.gateway.finish().await;
}

/// The last character of a part may encode more bits than the bytes need.
#[tokio::test]
async fn left_over_bits_and_foreign_characters_of_base64url_are_refused() {
    let tokens = Tokens::start("").await;
    let good = tokens.with(&json!({}));
    let (message, signature) = good.rsplit_once('.').unwrap();
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap();
    let alphabet = ('A'..='Z').chain('a'..='z').chain('0'..='9').chain(['-', '_']);
    let stem = &signature[..signature.len() - 1];
    let mut others = 0;
    for last in alphabet {
        let other = format!("{stem}{last}");
        // For 32 bytes, the last character holds four bits of data and two bits that must be zero.
        if other != signature && BASE64_URL_SAFE_NO_PAD.decode(&other).is_err() {
            tokens.refuses(&format!("{message}.{other}"), "token_malformed").await;
            others += 1;
        }
    }
    assert_eq!((bytes.len(), others), (32, 48));
    for foreign in ["+", "/", "=", "%", "\u{e9}"] {
        let token = format!("{message}.{stem}{foreign}");
        assert_eq!(tokens.ask(&tokens.path, &token).await.status, 401, "{foreign}");
    }
    assert!(tokens.accepts(&good).await);
    tokens.gateway.finish().await;
}

#[tokio::test]
async fn keys_and_urls_of_a_token_header_are_neither_used_nor_fetched() {
    let tokens = Tokens::start("").await;
    let fetched = Arc::<AtomicUsize>::default();
    let counted = Arc::clone(&fetched);
    let (address, _listening) = listen(move |_stream| {
        counted.fetch_add(1, Ordering::SeqCst);
        std::future::ready(())
    })
    .await;
    let theirs = "a secret that the sender made up";
    let key = BASE64_URL_SAFE_NO_PAD.encode(theirs);
    let jwk = json!({ "kty": "oct", "alg": "HS256", "k": key });
    let url = format!("http://{address}/keys");
    for header in [
        json!({ "alg": "HS256", "jwk": jwk }),
        json!({ "alg": "HS256", "jku": url, "kid": "theirs" }),
        json!({ "alg": "HS256", "x5u": url }),
        json!({ "alg": "HS256", "x5c": [BASE64_STANDARD.encode(theirs)] }),
    ] {
        let token = signed(&header, &tokens.claims(), theirs);
        tokens.refuses(&token, "token_signature").await;
    }
    assert_eq!(fetched.load(Ordering::SeqCst), 0);
    tokens.gateway.finish().await;
}
