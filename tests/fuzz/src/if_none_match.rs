//! `If-None-Match`: a tag is found exactly where the list has it.
#![no_main]

use http::header::{HeaderMap, HeaderValue, IF_NONE_MATCH};
use ikgate::message::{Coding, EntityTag, Named};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|value: &[u8]| {
    let Ok(value) = HeaderValue::from_bytes(value) else { return };
    let tag = EntityTag::of(b"[]");
    let mut fields = HeaderMap::new();
    fields.insert(IF_NONE_MATCH, value.clone());
    if let Some(Named::Tag(coding)) = tag.named_in(&fields) {
        let own = tag.to_field_value(coding);
        let text = value.as_bytes();
        assert!(text.windows(own.len()).any(|window| window == own.as_bytes()));
    }
    // Whatever stands in a line of its own, another line still counts.
    fields.append(IF_NONE_MATCH, tag.to_field_value(Coding::Gzip));
    assert!(tag.named_in(&fields).is_some());
});
