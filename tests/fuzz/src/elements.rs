//! Fuzz target of the element table: an element cut from a list is a part of the list, and is the
//! requested version.
#![no_main]

use std::time::Duration;

use bytes::Bytes;
use ikgate::cache::{Kind, StoredResponse};
use ikgate::file_id::VersionId;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|list: &[u8]| {
    let body = Bytes::copy_from_slice(list);
    let response = StoredResponse::new(Kind::List, body.clone(), Duration::ZERO);
    for id in ["a", "0", "64a1b2c3d4e5f60718293a4b"] {
        let Ok(version) = VersionId::parse(id) else { continue };
        let Some(element) = response.version(&version) else { continue };
        let element = &element.bytes;
        assert_eq!(body.slice_ref(element), element);
        let text = std::str::from_utf8(element).expect("a part of a JSON text");
        assert!(text.starts_with('{') || text.starts_with('['), "{text}");
        assert!(text.contains(id) || text.contains('\\'), "{text}");
    }
});
