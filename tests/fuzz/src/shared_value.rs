//! Fuzz target of second-level cache values in Redis, which other writers could change: decoding
//! keeps the size limit, and a decoded value encodes to an equal value.
#![no_main]

use bytes::Bytes;
use ikgate::cluster::SharedValue;
use libfuzzer_sys::fuzz_target;

/// Limit of a body in bytes. It is larger than an input, so that only compressed bodies exceed it.
const BODY_MAX: usize = 16 * 1024;

fuzz_target!(|stored: &[u8]| {
    let Some(value) = SharedValue::decode(&Bytes::copy_from_slice(stored), BODY_MAX) else {
        return;
    };
    assert!(value.body.len() <= BODY_MAX);
    let written = value.encode().expect("what is no longer than BODY_MAX may be shared");
    assert_eq!(SharedValue::decode(&written, BODY_MAX).as_ref(), Some(&value));
    if let Some(shorter) = value.body.len().checked_sub(1) {
        assert_eq!(SharedValue::decode(&written, shorter), None);
    }
});
