//! Signers of tokens: an identity provider's key pairs, and the key set that it publishes.

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use super::{Origin, Reply};

/// Path of the key set at the provider.
pub(crate) const KEYS: &str = "/jwks.json";

/// Key pair with its `kid`.
pub(crate) struct Signer {
    kid: String,
    algorithm: Algorithm,
    key: EncodingKey,
    pair: rcgen::KeyPair,
}

impl Signer {
    pub(crate) fn es256(kid: &str) -> Self {
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let key = EncodingKey::from_ec_pem(pair.serialize_pem().as_bytes()).unwrap();
        Self { kid: kid.to_owned(), algorithm: Algorithm::ES256, key, pair }
    }

    pub(crate) fn rs256(kid: &str) -> Self {
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
        let key = EncodingKey::from_rsa_pem(pair.serialize_pem().as_bytes()).unwrap();
        Self { kid: kid.to_owned(), algorithm: Algorithm::RS256, key, pair }
    }

    pub(crate) fn ed25519(kid: &str) -> Self {
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        let key = EncodingKey::from_ed_pem(pair.serialize_pem().as_bytes()).unwrap();
        Self { kid: kid.to_owned(), algorithm: Algorithm::EdDSA, key, pair }
    }

    /// Returns the public key in PEM.
    pub(crate) fn public(&self) -> String {
        self.pair.public_key_pem()
    }

    /// Returns the private key in PEM.
    pub(crate) fn private(&self) -> String {
        self.pair.serialize_pem()
    }

    /// Returns the public key as the provider publishes it.
    pub(crate) fn jwk(&self) -> Value {
        let jwk = if self.algorithm == Algorithm::EdDSA {
            let x = BASE64_URL_SAFE_NO_PAD.encode(self.pair.public_key_raw());
            json!({ "kty": "OKP", "crv": "Ed25519", "x": x })
        } else {
            let jwk = Jwk::from_encoding_key(&self.key, self.algorithm).unwrap();
            serde_json::to_value(jwk).unwrap()
        };
        with(jwk, &json!({ "kid": self.kid, "use": "sig" }))
    }

    pub(crate) fn signed(&self, claims: &Value) -> String {
        self.signed_as(Some(&self.kid), claims)
    }

    /// Returns a token that names another key, or none.
    pub(crate) fn signed_as(&self, kid: Option<&str>, claims: &Value) -> String {
        let mut header = Header::new(self.algorithm);
        header.kid = kid.map(str::to_owned);
        jsonwebtoken::encode(&header, claims, &self.key).unwrap()
    }
}

/// Returns an object with these members changed.
pub(crate) fn with(mut object: Value, changes: &Value) -> Value {
    for (name, value) in changes.as_object().unwrap() {
        object[name] = value.clone();
    }
    object
}

/// Returns a response with a key set that is fresh for 10 minutes.
pub(crate) fn key_set(keys: &[Value]) -> Reply {
    let body = json!({ "keys": keys }).to_string();
    Reply::with_fields(200, "Cache-Control: max-age=600\r\n", &body)
}

impl Origin {
    /// Makes this server a provider that publishes these keys.
    pub(crate) fn publishes(&self, keys: &[Value]) {
        self.replies(KEYS, key_set(keys));
    }
}
