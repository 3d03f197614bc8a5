//! Tests of several token keys at a time, selected by `kid`, and of revoked tokens.

use std::path::Path;
use std::time::Duration;

use ikgate::caller::TokenSigner;
use ikgate::config;
use serde_json::json;

use crate::support::scratch;
use crate::support::signers::Signer;
use crate::support::tokens::{SECRET, Tokens, claims_at, hs256, section, signed};

/// Limits that no test reaches by polling.
const MORE: &str = "limits.auth_failures = { per_second = 1000000, burst = 1000000 }";
const QUOTA: &str = "quota = { per_second = 1000000, burst = 1000000 }";

/// Interval at which files are read again.
const CHECK: Duration = Duration::from_secs(5);

/// Returns the lines of `[jwt]` for these signers, with their keys written to `files`.
fn key_files(files: &Path, signers: &[(&str, &Signer)]) -> String {
    let entries = signers.iter().map(|(kid, signer)| {
        let file = files.join(format!("{kid}.pub"));
        std::fs::write(&file, signer.public()).unwrap();
        format!("\"{kid}\" = '{}'", file.display())
    });
    format!("key_files = {{ {} }}\n{QUOTA}", entries.collect::<Vec<_>>().join(", "))
}

#[tokio::test]
async fn the_kid_of_a_token_selects_one_of_several_keys() {
    let files = scratch();
    let [old, new] = ["2026-10", "2026-11"].map(Signer::ed25519);
    let both = key_files(files.path(), &[("2026-10", &old), ("2026-11", &new)]);
    let only_new = key_files(files.path(), &[("2026-11", &new)]);
    let mut tokens = Tokens::with_keys(MORE, &both, files).await;
    let claims = tokens.claims();
    let token = old.signed(&claims);
    for token in [&token, &new.signed(&claims)] {
        assert_eq!(tokens.ask(&tokens.path, token).await.status, 200);
    }
    tokens.refuses(&old.signed_as(None, &claims), "unknown_kid").await;
    tokens.refuses(&old.signed_as(Some(""), &claims), "unknown_kid").await;
    tokens.refuses(&old.signed_as(Some("2026-12"), &claims), "unknown_kid").await;
    tokens.refuses(&old.signed_as(Some("2026-11"), &claims), "token_signature").await;
    let secret = json!({ "alg": "HS256", "kid": "2026-10" });
    tokens.refuses(&signed(&secret, &claims, &old.public()), "token_algorithm").await;
    tokens.gateway.reload(&section(MORE, &only_new));
    tokens.refuses(&token, "unknown_kid").await;
    assert_eq!(tokens.ask(&tokens.path, &new.signed(&claims)).await.status, 200);
    tokens.gateway.finish().await;
}

#[tokio::test]
async fn a_token_that_is_revoked_is_refused_though_it_was_verified_before() {
    let files = scratch();
    let [secret, list] = ["jwt.secret", "revoked.txt"].map(|name| files.path().join(name));
    std::fs::write(&secret, SECRET).unwrap();
    std::fs::write(&list, "# none yet\n").unwrap();
    let jwt = format!(
        "algorithm = \"HS256\"\nkey_file = '{}'\nrevoked_file = '{}'\n{QUOTA}",
        secret.display(),
        list.display()
    );
    let tokens = Tokens::with_keys(MORE, &jwt, files).await;
    let token = |jti: &str, sub: &str| tokens.with(&json!({ "jti": jti, "sub": sub }));
    let (one, two, three) = (token("id-1", "a"), token("id-2", "a"), token("id-3", "b"));
    for token in [&one, &two, &three] {
        assert_eq!(tokens.ask(&tokens.path, token).await.status, 200);
    }
    std::fs::write(&list, "id-1 \nsub:b\n").unwrap();
    tokens.gateway.clock.advance(CHECK);
    tokens.becomes(&one, 401).await;
    tokens.refuses(&one, "revoked").await;
    tokens.refuses(&three, "revoked").await;
    tokens.refuses(&token("id-4", "b"), "revoked").await;
    assert_eq!(tokens.ask(&tokens.path, &two).await.status, 200);
    // A file that cannot be used keeps the list. The tick after it shows that it has been read.
    std::fs::write(&list, b"\xff\xfe").unwrap();
    tokens.gateway.clock.advance(CHECK);
    tokens.refuses(&one, "revoked").await;
    std::fs::write(&list, "id-2\n").unwrap();
    tokens.gateway.clock.advance(CHECK);
    tokens.becomes(&two, 401).await;
    tokens.refuses(&one, "revoked").await;
    // A line is dropped once it is missing in two reads.
    tokens.gateway.clock.advance(CHECK);
    tokens.becomes(&one, 200).await;
    tokens.becomes(&three, 200).await;
    tokens.refuses(&tokens.with(&json!({ "jti": 7 })), "token_jti").await;
    let mut null = tokens.claims();
    null["jti"] = json!(null);
    tokens.refuses(&signed(&hs256(), &null, SECRET), "token_jti").await;
    tokens.gateway.finish().await;
}

#[test]
fn a_signer_with_several_keys_names_the_one_that_signs() {
    let files = scratch();
    let (old, new) = (Signer::ed25519("old"), Signer::ed25519("new"));
    let jwt = key_files(files.path(), &[("old", &old), ("new", &new)]);
    let config = files.path().join("ikgate.toml");
    std::fs::write(&config, section("", &jwt)).unwrap();
    let settings = config::tokens(&config, []).unwrap();
    let now = Duration::from_secs(1_700_000_000);
    let claims = claims_at(now);
    for (signer, signs) in [(&old, true), (&new, true), (&Signer::ed25519("old"), false)] {
        let pem = files.path().join("private.pem");
        std::fs::write(&pem, signer.private()).unwrap();
        let token = TokenSigner::new(&settings, Some(&pem)).unwrap().sign(&claims, now);
        assert_eq!(token.is_ok(), signs);
    }
    let jwks = section("", "jwks_url = \"http://127.0.0.1:1/\"");
    std::fs::write(&config, jwks).unwrap();
    assert!(TokenSigner::new(&config::tokens(&config, []).unwrap(), None).is_err());
}

#[test]
fn exactly_one_source_of_keys_is_configured() {
    let files = scratch();
    std::fs::write(files.path().join("a.pub"), Signer::ed25519("a").public()).unwrap();
    let problems = |jwt: &str| {
        let key = (config::PRIVATE_KEY_VARIABLE.to_owned(), "private_a=".to_owned());
        let loaded = config::from_text(&section("", jwt), files.path(), [key]);
        let problems = loaded.err().map(|problems| problems.to_string()).unwrap_or_default();
        problems.lines().map(|line| line.trim().to_owned()).collect::<Vec<_>>().join("\n")
    };
    let url = "jwks_url = \"https://idp.example.com/keys\"";
    for good in [
        "key_file = \"a.pub\"",
        "key_files = { a = \"a.pub\", \"b c\" = \"a.pub\" }",
        url,
        &format!("{url}\nalgorithms = [\"EdDSA\", \"RS256\"]"),
    ] {
        assert_eq!(problems(good), "", "{good}");
    }
    for (bad, key) in [
        ("", "jwt.key_file"),
        ("key_file = \"a.pub\"\nkey_files = { a = \"a.pub\" }", "jwt.key_file"),
        (&format!("key_files = {{ a = \"a.pub\" }}\n{url}"), "jwt.key_files"),
        ("key_files = {}", "jwt.key_files"),
        ("key_files = \"a.pub\"", "jwt.key_files"),
        ("key_files = { a = \"missing.pub\" }", "jwt.key_files.a"),
        ("algorithm = \"RS256\"\nkey_files = { a = \"a.pub\" }", "jwt.key_files.a"),
        ("jwks_url = \"http://idp.example.com/keys\"", "jwt.jwks_url"),
        (&format!("{url}\nalgorithms = [\"HS256\"]"), "jwt.algorithms"),
        (&format!("{url}\nalgorithms = []"), "jwt.algorithms"),
        (&format!("{url}\nalgorithm = \"RS256\""), "jwt.algorithm"),
        ("key_file = \"a.pub\"\nalgorithms = [\"EdDSA\"]", "jwt.algorithms"),
        ("key_file = \"a.pub\"\nrevoked_file = \"missing.txt\"", "jwt.revoked_file"),
    ] {
        let found = problems(bad);
        assert!(found.contains(&format!("{key}: ")), "{bad}: {found}");
    }
}
