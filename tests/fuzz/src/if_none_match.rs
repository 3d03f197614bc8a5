//! Fuzz target of `If-None-Match`: a tag matches exactly if the list contains it.
#![no_main]

use http::header::{HeaderMap, HeaderName, HeaderValue, IF_NONE_MATCH};
use ikgate::message::{Coding, EntityTag, RequestFields, TagMatch};
use libfuzzer_sys::fuzz_target;

const CLIENT_ADDRESS: HeaderName = HeaderName::from_static("x-forwarded-for");

fuzz_target!(|value: &[u8]| {
    let Ok(value) = HeaderValue::from_bytes(value) else { return };
    let tag = EntityTag::of(b"[]");
    let mut fields = HeaderMap::new();
    fields.insert(IF_NONE_MATCH, value.clone());
    let named = |map: &HeaderMap| tag.match_in(&RequestFields::of(map, &CLIENT_ADDRESS));
    if let Some(TagMatch::Tag(coding)) = named(&fields) {
        let own = tag.to_field_value(coding);
        let text = value.as_bytes();
        assert!(text.windows(own.len()).any(|window| window == own.as_bytes()));
    }
    // The contents of one field line do not change the meaning of another line.
    fields.append(IF_NONE_MATCH, tag.to_field_value(Coding::Gzip));
    assert!(named(&fields).is_some());
});
