//! Fuzz target of webhook signatures: only a signature made with the secret is valid.
#![no_main]

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderValue};
use ikgate::invalidation::{SigningSecret, signature};
use ikgate::secret::Secret;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (Vec<u8>, Vec<u8>, Vec<u8>, Vec<u8>)| {
    let (legacy, id, timestamp, standard) = input;
    let secret = SigningSecret::new(Secret::new("whsec_dGVzdA==".to_owned()));
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    let mut fields = HeaderMap::new();
    for (name, value) in [
        (signature::LEGACY, legacy),
        (signature::STANDARD_ID, id),
        (signature::STANDARD_TIMESTAMP, timestamp),
        (signature::STANDARD, standard),
    ] {
        if let Ok(value) = HeaderValue::from_bytes(&value) {
            fields.insert(name, value);
        }
    }
    let verify = |fields: &HeaderMap| secret.verify(fields, b"{}", now, Duration::from_secs(300));
    assert!(verify(&fields).is_err(), "a signature was forged");
    let good = HeaderValue::from_str(&secret.sign_legacy(now, b"{}")).expect("hex");
    fields.insert(signature::LEGACY, good);
    assert!(verify(&fields).is_ok(), "the other scheme's fields spoil nothing");
});
