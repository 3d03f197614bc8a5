//! Tokens (JWT) that are signed by hand, and a gateway that accepts them.

use std::time::Duration;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use hmac::{Hmac, Mac as _};
use ikgate::caller::{Audience, Claims, NumericDate};
use serde_json::{Value, json};
use sha2::Sha256;

use super::{Answer, FILE, Origin, Reply, TestGateway, scratch, versions_of};

pub(crate) const SECRET: &str = "a-secret-of-thirty-two-bytes-or-so";
const PATIENCE: Duration = Duration::from_secs(20);
pub(crate) const ISSUER: &str = "https://app.example.com";

/// Returns a token signed by hand with HMAC, so that it can be wrong in every way.
pub(crate) fn signed(header: &Value, claims: &Value, secret: &str) -> String {
    signed_bytes(header.to_string().as_bytes(), claims.to_string().as_bytes(), secret)
}

/// Returns a signed token of parts that need not be JSON.
pub(crate) fn signed_bytes(header: &[u8], claims: &[u8], secret: &str) -> String {
    let [header, claims] = [header, claims].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part));
    let message = format!("{header}.{claims}");
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(message.as_bytes());
    format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}

/// Returns the claims of a token of `user-1` that is issued at `now` and valid for five minutes.
pub(crate) fn claims_at(now: Duration) -> Claims {
    Claims {
        sub: "user-1".to_owned(),
        iss: ISSUER.to_owned(),
        aud: Audience::One("ikgate".to_owned()),
        iat: NumericDate(now),
        exp: NumericDate(now + Duration::from_mins(5)),
        nbf: None,
        jti: None,
        files: None,
    }
}

/// Returns the configuration with these lines in its section `[jwt]`.
pub(crate) fn section(more: &str, jwt: &str) -> String {
    format!("{more}\n[jwt]\nissuer = \"{ISSUER}\"\n{jwt}\n")
}

pub(crate) fn hs256() -> Value {
    json!({ "alg": "HS256", "typ": "JWT" })
}

/// Gateway that accepts tokens, with its origin, which has a list at `path`.
pub(crate) struct Tokens {
    pub(crate) origin: Origin,
    pub(crate) gateway: TestGateway,
    pub(crate) path: String,
    _files: tempfile::TempDir,
}

impl Tokens {
    pub(crate) async fn start(more: &str) -> Self {
        let files = scratch();
        std::fs::write(files.path().join("jwt.secret"), SECRET).unwrap();
        let key_file = files.path().join("jwt.secret");
        let key_file = key_file.display();
        let jwt = format!(
            "algorithm = \"HS256\"\nkey_file = '{key_file}'\nquota = {{ per_second = 1, burst = 3 }}"
        );
        Self::with_keys(more, &jwt, files).await
    }

    /// Starts a gateway with these lines in its section `[jwt]`.
    pub(crate) async fn with_keys(more: &str, jwt: &str, files: tempfile::TempDir) -> Self {
        let origin = Origin::start().await;
        let path = versions_of(FILE);
        origin.replies(&path, Reply::json(200, "[]"));
        let gateway = TestGateway::configured(&origin, &section(more, jwt));
        Self { origin, gateway, path, _files: files }
    }

    /// Waits until the token is answered with this status.
    pub(crate) async fn becomes(&self, token: &str, status: u16) {
        let becomes = async { while self.ask(&self.path, token).await.status != status {} };
        tokio::time::timeout(PATIENCE, becomes).await.expect("another status");
    }

    pub(crate) fn now(&self) -> u64 {
        self.gateway.clock.unix_time().as_secs()
    }

    pub(crate) fn claims(&self) -> Value {
        let now = self.now();
        let (iss, aud) = (ISSUER, "ikgate");
        json!({ "sub": "user-1", "iss": iss, "aud": aud, "iat": now, "exp": now + 300 })
    }

    /// Returns a token of valid claims with these changes; null removes a claim.
    pub(crate) fn with(&self, changes: &Value) -> String {
        let mut claims = self.claims();
        for (name, value) in changes.as_object().unwrap() {
            match value {
                Value::Null => _ = claims.as_object_mut().unwrap().remove(name),
                value => claims[name] = value.clone(),
            }
        }
        signed(&hs256(), &claims, SECRET)
    }

    pub(crate) async fn ask(&self, path: &str, token: &str) -> Answer {
        let value = format!("Bearer {token}");
        self.gateway.send("GET", path, &[("Authorization", &value)]).await
    }

    pub(crate) async fn refuses(&self, token: &str, reason: &str) {
        let series = format!("ikgate_auth_failures_total{{reason=\"{reason}\"}}");
        let before = self.gateway.metric(&series).await.unwrap_or_default();
        let answer = self.ask(&self.path, token).await;
        assert_eq!((answer.status, answer.code().as_str()), (401, "unauthorized"), "{reason}");
        assert_eq!(answer.field("www-authenticate"), "Bearer");
        assert_eq!(answer.field("cache-status"), "ikgate; detail=unauthorized");
        assert_eq!(self.gateway.metric(&series).await, Some(before + 1.0), "{reason}");
    }
}
