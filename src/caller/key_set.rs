//! JSON Web Key Set (RFC 7517): the keys of an identity provider, each with its `kid`.
//!
//! Parsing does no I/O. A key that cannot be used is skipped with a reason and does not spoil the
//! others (section 5). A set that is too large, or no set at all, is refused as a whole.

use jsonwebtoken::jwk::{Jwk, KeyOperations, PublicKeyUse};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::token_key::{TokenAlgorithm, TokenKey};

/// Largest accepted document, in bytes. A set of ten RSA keys has about 5 KiB.
pub const KEY_SET_BYTES_MAX: usize = 256 * 1024;

/// Most keys of a set, those that are skipped included.
pub const KEYS_MAX: usize = 64;

/// Keys of several signers, each with its `kid`. No two have the same `kid` and algorithm.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KeySet {
    keys: Vec<NamedKey>,
}

/// Key with the `kid` that tokens name it by.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedKey {
    pub kid: Box<str>,
    pub key: TokenKey,
}

/// Key set as a provider published it.
#[derive(Clone, Debug, Default)]
pub struct ParsedKeySet {
    pub set: KeySet,
    /// Reasons of the keys that are not used, in the order of the document.
    pub skipped: Vec<SkippedKey>,
}

/// Reason why a key of a set is not used.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SkippedKey {
    #[error("its algorithm is not in jwt.algorithms")]
    Algorithm,
    #[error("another key has the same kid and algorithm")]
    Duplicate,
    #[error("it is no public key of RSA (2048 bits and more), P-256 or Ed25519")]
    Kind,
    #[error("it has no kid")]
    NoKid,
    #[error("its key_ops does not contain verify")]
    Operations,
    #[error("it is no JSON Web Key")]
    Unreadable,
    #[error("its use is not sig")]
    Use,
}

/// Reason why a document is no acceptable key set.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidKeySet {
    #[error("the document has more than {KEY_SET_BYTES_MAX} bytes")]
    TooLong,
    #[error("the document is no JSON Web Key Set")]
    NotASet,
    #[error("the set has more than {KEYS_MAX} keys")]
    TooMany,
}

#[derive(Deserialize)]
struct Document<'a> {
    #[serde(borrow)]
    keys: Vec<&'a RawValue>,
}

impl KeySet {
    /// Returns a set of these keys. A later key replaces an earlier one with the same `kid`.
    pub fn new(keys: impl IntoIterator<Item = (String, TokenKey)>) -> Self {
        let mut set = Self::default();
        for (kid, key) in keys {
            set.keys.retain(|own| *own.kid != *kid);
            set.keys.push(NamedKey { kid: kid.into(), key });
        }
        set
    }

    /// Parses a key set. Only keys of these `algorithms` are used.
    ///
    /// # Errors
    ///
    /// [`InvalidKeySet`] if the document is refused as a whole.
    pub fn parse(
        document: &[u8],
        algorithms: &[TokenAlgorithm],
    ) -> Result<ParsedKeySet, InvalidKeySet> {
        if document.len() > KEY_SET_BYTES_MAX {
            return Err(InvalidKeySet::TooLong);
        }
        // The deserializer would accept a list in place of the object.
        if !document.trim_ascii_start().starts_with(b"{") {
            return Err(InvalidKeySet::NotASet);
        }
        let document: Document<'_> =
            serde_json::from_slice(document).map_err(|_| InvalidKeySet::NotASet)?;
        if document.keys.len() > KEYS_MAX {
            return Err(InvalidKeySet::TooMany);
        }
        let mut parsed = ParsedKeySet::default();
        for jwk in document.keys {
            match key(jwk.get(), algorithms).and_then(|key| parsed.set.add(key)) {
                Ok(()) => {}
                Err(reason) => parsed.skipped.push(reason),
            }
        }
        Ok(parsed)
    }

    fn add(&mut self, key: NamedKey) -> Result<(), SkippedKey> {
        let name = |own: &NamedKey| (own.kid.clone(), own.key.algorithm());
        if self.keys.iter().any(|own| name(own) == name(&key)) {
            return Err(SkippedKey::Duplicate);
        }
        self.keys.push(key);
        Ok(())
    }

    /// Returns the keys.
    pub fn keys(&self) -> &[NamedKey] {
        &self.keys
    }
}

/// Reads one key of a set.
fn key(jwk: &str, algorithms: &[TokenAlgorithm]) -> Result<NamedKey, SkippedKey> {
    let jwk: Jwk = serde_json::from_str(jwk).map_err(|_| SkippedKey::Unreadable)?;
    let common = &jwk.common;
    if common.public_key_use.as_ref().is_some_and(|own| *own != PublicKeyUse::Signature) {
        return Err(SkippedKey::Use);
    }
    if common.key_operations.as_ref().is_some_and(|own| !own.contains(&KeyOperations::Verify)) {
        return Err(SkippedKey::Operations);
    }
    let key = TokenKey::from_jwk(&jwk).ok_or(SkippedKey::Kind)?;
    if !algorithms.contains(&key.algorithm()) {
        return Err(SkippedKey::Algorithm);
    }
    let kid = jwk.common.key_id.filter(|kid| !kid.is_empty()).ok_or(SkippedKey::NoKid)?;
    Ok(NamedKey { kid: kid.into(), key })
}

#[cfg(test)]
mod tests {
    use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
    use proptest::prelude::*;
    use rcgen::PublicKeyData as _;
    use serde_json::{Value, json};

    use super::*;

    const ALGORITHMS: [TokenAlgorithm; 2] = [TokenAlgorithm::Rs256, TokenAlgorithm::Es256];

    /// Returns the JSON Web Key of a new P-256 key pair.
    fn p256(kid: &str) -> Value {
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let point = pair.der_bytes().to_vec();
        let (x, y) = point[1..].split_at(32);
        let [x, y] = [x, y].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part));
        json!({ "kty": "EC", "crv": "P-256", "kid": kid, "x": x, "y": y })
    }

    /// Returns an RSA key whose modulus has this many bits.
    fn rsa(bits: usize) -> Value {
        let mut modulus = vec![0xff_u8; bits.div_ceil(8)];
        modulus[0] >>= modulus.len() * 8 - bits;
        let n = BASE64_URL_SAFE_NO_PAD.encode(modulus);
        json!({ "kty": "RSA", "kid": "r", "n": n, "e": "AQAB" })
    }

    fn with(mut key: Value, changes: &Value) -> Value {
        for (name, value) in changes.as_object().unwrap() {
            key[name] = value.clone();
        }
        key
    }

    fn parse(keys: &[Value]) -> ParsedKeySet {
        KeySet::parse(json!({ "keys": keys }).to_string().as_bytes(), &ALGORITHMS).unwrap()
    }

    #[test]
    fn a_key_that_cannot_be_used_is_skipped_and_does_not_spoil_the_others() {
        let secret =
            json!({ "kty": "oct", "kid": "s", "k": "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0MTIz" });
        let ed = json!({ "kty": "OKP", "crv": "Ed25519", "kid": "e",
            "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" });
        for (key, reason) in [
            (with(p256("a"), &json!({ "use": "enc" })), SkippedKey::Use),
            (with(p256("a"), &json!({ "use": "SIG" })), SkippedKey::Use),
            (with(p256("a"), &json!({ "key_ops": [] })), SkippedKey::Operations),
            (with(p256("a"), &json!({ "key_ops": ["sign"] })), SkippedKey::Operations),
            (with(p256("a"), &json!({ "alg": "ES384" })), SkippedKey::Kind),
            (with(p256("a"), &json!({ "alg": "HS256" })), SkippedKey::Kind),
            (with(p256("a"), &json!({ "crv": "P-384" })), SkippedKey::Kind),
            (with(p256("a"), &json!({ "x": "AAAA" })), SkippedKey::Kind),
            (with(p256("a"), &json!({ "kid": "" })), SkippedKey::NoKid),
            (with(p256("a"), &json!({ "kid": null })), SkippedKey::NoKid),
            (with(p256("a"), &json!({ "kid": 7 })), SkippedKey::Unreadable),
            (with(p256("a"), &json!({ "use": ["sig"] })), SkippedKey::Unreadable),
            (rsa(2047), SkippedKey::Kind),
            (rsa(8193), SkippedKey::Kind),
            (with(rsa(2048), &json!({ "alg": "PS256" })), SkippedKey::Kind),
            (ed, SkippedKey::Algorithm),
            (secret, SkippedKey::Kind),
            (p256("good"), SkippedKey::Duplicate),
            (json!({ "kty": "new", "kid": "n" }), SkippedKey::Kind),
            (json!({ "kid": "n" }), SkippedKey::Kind),
            (json!(7), SkippedKey::Unreadable),
        ] {
            let parsed = parse(&[p256("good"), key.clone()]);
            assert_eq!(parsed.skipped, [reason], "{key}");
            assert_eq!(parsed.set.keys().len(), 1, "{key}");
        }
    }

    #[test]
    fn keys_with_and_without_their_optional_members_are_used() {
        let use_sig = json!({ "use": "sig", "alg": "ES256", "key_ops": ["verify"], "x5c": ["a"] });
        let keys = [
            p256("a"),
            with(p256("b"), &use_sig),
            rsa(2048),
            with(rsa(4096), &json!({ "kid": "r2" })),
        ];
        let parsed = parse(&keys);
        assert_eq!(parsed.skipped, []);
        let named = |key: &NamedKey| (key.kid.to_string(), key.key.algorithm());
        let [rs, es] = ALGORITHMS;
        let expected = [("a", es), ("b", es), ("r", rs), ("r2", rs)];
        let expected = expected.map(|(kid, algorithm)| (kid.to_owned(), algorithm));
        assert_eq!(parsed.set.keys().iter().map(named).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_document_that_is_no_set_or_too_large_is_refused() {
        let parse = |document: &str| KeySet::parse(document.as_bytes(), &ALGORITHMS).map(drop);
        for document in [
            "",
            "null",
            "[]",
            "[[]]",
            "{}",
            "{\"keys\":{}}",
            "{\"keys\":[]}x",
            "{\"keys\":[],\"keys\":[]}",
        ] {
            assert_eq!(parse(document), Err(InvalidKeySet::NotASet), "{document}");
        }
        assert_eq!(parse(" {\"keys\":[],\"more\":1}"), Ok(()));
        let many = |count| json!({ "keys": vec![7; count] }).to_string();
        assert_eq!(parse(&many(KEYS_MAX)), Ok(()));
        assert_eq!(parse(&many(KEYS_MAX + 1)), Err(InvalidKeySet::TooMany));
        let set = "{\"keys\":[]}";
        let long = |bytes: usize| set.to_owned() + &" ".repeat(bytes - set.len());
        assert_eq!(parse(&long(KEY_SET_BYTES_MAX)), Ok(()));
        assert_eq!(parse(&long(KEY_SET_BYTES_MAX + 1)), Err(InvalidKeySet::TooLong));
    }

    proptest! {
        /// Every key of a document is used or has a reason, and is used only with an algorithm
        /// that was allowed.
        #[test]
        fn each_key_is_used_or_skipped(
            names in proptest::collection::vec("[ab]?", 0..6),
            kind in proptest::sample::select(vec!["EC", "RSA", "OKP", "oct", "x"]),
            public_use in proptest::option::of("sig|enc|"),
            rs256 in any::<bool>(),
        ) {
            let key = |kid: &String| with(p256(kid), &json!({ "kty": kind, "use": public_use }));
            let keys: Vec<_> = names.iter().map(key).collect();
            let allowed = &ALGORITHMS[usize::from(!rs256)..];
            let document = json!({ "keys": keys }).to_string();
            let parsed = KeySet::parse(document.as_bytes(), allowed).unwrap();
            prop_assert_eq!(parsed.set.keys().len() + parsed.skipped.len(), names.len());
            for own in parsed.set.keys() {
                prop_assert!(allowed.contains(&own.key.algorithm()) && !own.kid.is_empty());
            }
            prop_assert!(kind == "EC" || parsed.set.keys().is_empty());
        }

        #[test]
        fn any_bytes_are_parsed_or_refused(document in proptest::collection::vec(any::<u8>(), 0..64)) {
            _ = KeySet::parse(&document, &ALGORITHMS);
        }
    }
}
