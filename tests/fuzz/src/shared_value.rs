//! Values of the second level: what a server that others write to holds is read within the limit,
//! and is the same when it is written again.
#![no_main]

use bytes::Bytes;
use ikgate::cluster::Value;
use libfuzzer_sys::fuzz_target;

/// In bytes. More than an input can hold, so that what is compressed may be too long.
const BODY_MAX: usize = 16 * 1024;

fuzz_target!(|stored: &[u8]| {
    let Some(value) = Value::decode(&Bytes::copy_from_slice(stored), BODY_MAX) else { return };
    assert!(value.body.len() <= BODY_MAX);
    let written = value.encode().expect("what is no longer than BODY_MAX may be shared");
    assert_eq!(Value::decode(&written, BODY_MAX).as_ref(), Some(&value));
    if let Some(shorter) = value.body.len().checked_sub(1) {
        assert_eq!(Value::decode(&written, shorter), None);
    }
});
